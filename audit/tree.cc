#include "audit/tree.h"

#include <algorithm>

namespace tally {

namespace {

constexpr size_t kHashSize = sizeof(Digest);

std::string bytes_not(size_t found, size_t expected) {
    return "has " + std::to_string(found) + " bytes, not " + std::to_string(expected);
}

// What a hash of a tile is the hash of.
std::string origin_of(const Tile &tile, size_t position) {
    uint64_t child = tile.index * kTileWidth + position;
    if (tile.level == 0)
        return "log index " + std::to_string(child) + " in " +
               Tile{Tile::kEntries, tile.index, tile.width}.path();
    return Tile{tile.level - 1, child}.path();
}

} // namespace

Status TreeCheck::add(const std::vector<Digest> &leaves, bool last) {
    for (const Digest &leaf : leaves) {
        tree_.add(leaf);
        TALLY_TRY(push(0, leaf));
    }
    for (size_t level = 0; last && level < levels_.size(); level++) {
        if (!levels_[level].hashes.empty())
            TALLY_TRY(compare(level));
    }
    return ok();
}

Status TreeCheck::resume(uint64_t size, const Digest &root) {
    for (unsigned level = 0; tile_hashes(level, size) > 0; level++) {
        uint64_t hashes = tile_hashes(level, size);
        Level &filled = levels_.emplace_back();
        filled.index = hashes / kTileWidth;
        auto width = static_cast<unsigned>(hashes % kTileWidth);
        if (width == 0)
            continue;
        auto found = source_.read_tile({static_cast<int>(level), filled.index, width});
        if (!found)
            return found.error();
        if (found->bytes.size() != found->tile.width * kHashSize)
            return source_.error(found->tile.path(),
                                 bytes_not(found->bytes.size(), found->tile.width * kHashSize));
        filled.hashes.resize(width);
        for (size_t i = 0; i < width; i++)
            std::copy_n(found->bytes.begin() + static_cast<ptrdiff_t>(i * kHashSize), kHashSize,
                        filled.hashes[i].begin());
    }
    std::vector<Digest> edge; // a level's hashes are its size's lowest eight bits
    for (size_t level = levels_.size(); level-- > 0;) {
        std::span<const Digest> rest(levels_[level].hashes);
        for (size_t subtree = kTileWidth / 2; subtree > 0; subtree /= 2) {
            if ((rest.size() & subtree) == 0)
                continue;
            edge.push_back(subtree_root(rest.first(subtree)));
            rest = rest.subspan(subtree);
        }
    }
    tree_ = CompactTree(size, std::move(edge));
    if (tree_.root() != root)
        return source_.error("tile", "its first " + std::to_string(size) +
                                         " entries are not those that were verified before: the "
                                         "log was rewritten");
    return ok();
}

bool TreeCheck::had(uint64_t index, const Digest &leaf) const {
    return index / kTileWidth == levels_[0].index && levels_[0].hashes[index % kTileWidth] == leaf;
}

Status TreeCheck::push(size_t level, const Digest &hash) {
    if (level == levels_.size())
        levels_.emplace_back();
    levels_[level].hashes.push_back(hash);
    if (levels_[level].hashes.size() < kTileWidth)
        return ok();
    TALLY_TRY(compare(level));
    Digest root = subtree_root(levels_[level].hashes);
    levels_[level].hashes.clear();
    levels_[level].index++;
    return push(level + 1, root);
}

Status TreeCheck::compare(size_t level) const {
    const Level &filled = levels_[level];
    Bytes expected;
    for (const Digest &hash : filled.hashes)
        append(expected, hash);
    Tile tile{static_cast<int>(level), filled.index, static_cast<unsigned>(filled.hashes.size())};
    auto found = source_.read_tile(tile);
    if (!found)
        return found.error();
    TALLY_TRY(compare_file(found->tile, found->bytes, expected));
    for (unsigned width : source_.partial_widths(tile)) {
        if (width >= tile.width)
            break;
        Tile partial{tile.level, tile.index, width};
        auto bytes = source_.read(partial.path(), width * kHashSize);
        if (!bytes)
            return bytes.error();
        if (bytes->has_value())
            TALLY_TRY(compare_file(partial, **bytes, ByteView(expected).first(width * kHashSize)));
    }
    return ok();
}

// `file` may be wider than `expected`, never shorter than its name says.
Status TreeCheck::compare_file(const Tile &tile, const Bytes &file, ByteView expected) const {
    if (file.size() != tile.width * kHashSize)
        return source_.error(tile.path(), bytes_not(file.size(), tile.width * kHashSize));
    auto [at, end] = std::mismatch(expected.begin(), expected.end(), file.begin());
    if (at == expected.end())
        return ok();
    size_t position = static_cast<size_t>(at - expected.begin()) / kHashSize;
    return source_.error(tile.path(), "hash " + std::to_string(position) + " is not that of " +
                                          origin_of(tile, position));
}

Status check_superseded_bundles(const Source &source, const Tile &tile,
                                const std::vector<ByteView> &entries) {
    for (unsigned width : source.partial_widths(tile)) {
        if (width >= entries.size())
            break;
        Bytes expected;
        for (unsigned i = 0; i < width; i++)
            append_entry(expected, entries[i]);
        Tile partial{Tile::kEntries, tile.index, width};
        auto bytes = source.read(partial.path(), expected.size());
        if (!bytes)
            return bytes.error();
        if (!bytes->has_value())
            continue;
        if (!equal(**bytes, expected))
            return source.error(partial.path(), "is not what " + tile.path() + " begins with");
    }
    return ok();
}

} // namespace tally
