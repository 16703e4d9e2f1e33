#include "collector/edge.h"

#include <optional>

namespace tally {

void TileTree::add(const Digest &hash) {
    nodes_[0].push_back(hash);
    for (unsigned height = 0; height < kTileHeight && nodes_[height].size() % 2 == 0; ++height) {
        const auto &below = nodes_[height];
        nodes_[height + 1].push_back(node_hash(below[below.size() - 2], below.back()));
    }
}

bool TileTree::holds(unsigned height, uint64_t position) const {
    return height <= kTileHeight && position < nodes_[height].size();
}

const Digest &TileTree::node(unsigned height, uint64_t position) const {
    return nodes_[height][position];
}

Bytes TileTree::bytes() const {
    Bytes out;
    out.reserve(nodes_[0].size() * sizeof(Digest));
    for (const Digest &hash : nodes_[0])
        append(out, hash);
    return out;
}

void Edge::add(const Digest &leaf, std::vector<FilledTile> &filled) {
    ++size_;
    Digest hash = leaf;
    for (unsigned level = 0;; ++level) {
        if (tiles_.size() == level)
            tiles_.emplace_back();
        tiles_[level].add(hash);
        if (!tiles_[level].full())
            return;
        hash = tiles_[level].node(kTileHeight, 0);
        uint64_t index = tile_hashes(level + 1, size_) - 1;
        filled.push_back({Tile{static_cast<int>(level), index}, std::move(tiles_[level])});
        tiles_[level] = TileTree();
    }
}

// RFC 6962 section 2.1: the perfect subtrees of the right edge, joined from the smallest up.
Digest Edge::root() const {
    std::optional<Digest> root;
    for (const TileTree &tile : tiles_) {
        for (unsigned height = 0; height < kTileHeight; ++height) {
            unsigned nodes = tile.width() >> height;
            if (nodes % 2 == 0)
                continue;
            const Digest &left = tile.node(height, nodes - 1);
            root = root ? node_hash(left, *root) : left;
        }
    }
    return root ? *root : empty_root();
}

const TileTree *Edge::tile(unsigned level) const {
    return level < tiles_.size() ? &tiles_[level] : nullptr;
}

} // namespace tally
