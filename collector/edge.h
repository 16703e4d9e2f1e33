// The right edge of the log's Merkle tree in memory: for every level of tiles (C2SP tlog-tiles) the
// one tile that is not full yet. All that is needed to grow the tree, to know its root, and to
// prove inclusion of what was added last. Pure: no files.
#pragma once

#include "attest/layout.h"
#include "attest/merkle.h"

#include <array>
#include <vector>

namespace tally {

// The hashes of one tile and all perfect subtrees above them, so that a proof costs look-ups only.
class TileTree {
public:
    // `hash` is at the tile's own level; the tile must not be full.
    void add(const Digest &hash);
    unsigned width() const { return static_cast<unsigned>(nodes_[0].size()); }
    bool full() const { return width() == kTileWidth; }
    // Height 0 is the tile's own level, kTileHeight the root of a full tile.
    bool holds(unsigned height, uint64_t position) const;
    const Digest &node(unsigned height, uint64_t position) const;
    Bytes bytes() const; // the tile's file

private:
    std::array<std::vector<Digest>, kTileHeight + 1> nodes_;
};

struct FilledTile {
    Tile name;
    TileTree hashes;
};

class Edge {
public:
    Edge() = default;
    // `tiles[L]` holds tile_hashes(L, size) % kTileWidth hashes.
    Edge(uint64_t size, std::vector<TileTree> tiles) : size_(size), tiles_(std::move(tiles)) {}

    // Hash tiles of any level that this leaf fills are appended to `filled`.
    void add(const Digest &leaf, std::vector<FilledTile> &filled);
    uint64_t size() const { return size_; }
    Digest root() const;
    // The unfilled tile of a level; nullptr if the tree does not reach so high.
    const TileTree *tile(unsigned level) const;
    unsigned levels() const { return static_cast<unsigned>(tiles_.size()); }

private:
    uint64_t size_ = 0;
    std::vector<TileTree> tiles_;
};

} // namespace tally
