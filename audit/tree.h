// Holds a log's files against its own entries: every leaf hash computed anew from the entries, and
// every hash tile of every level, byte for byte, from those. Bundle by bundle, so that memory is
// one bundle and one tile per level, whatever the checkpoint says.
#pragma once

#include "attest/merkle.h"
#include "audit/source.h"

#include <functional>

namespace tally {

class TreeCheck {
public:
    explicit TreeCheck(const Source &source) : source_(source) {}

    // The bundle after the last one, as its bytes and the entries in them: all 256, or the last
    // ones. `name_of` says in an error which entry does not fit.
    Status add(const Tile &bundle, ByteView bytes, const std::vector<ByteView> &entries,
               const std::function<std::string(size_t)> &name_of);
    // After the last bundle: the partial tiles at the right edge. Returns the root.
    Result<Digest> finish();

    uint64_t hash_tiles() const { return hash_tiles_; }

private:
    struct Level {
        uint64_t index = 0; // of the tile that is being filled
        std::vector<Digest> hashes;
    };
    Status close_tile(unsigned level);
    Status check_superseded(const Tile &tile, ByteView bytes,
                            const std::function<size_t(unsigned)> &prefix) const;

    const Source &source_;
    std::vector<Level> levels_;
    CompactTree tree_;
    uint64_t hash_tiles_ = 0;
};

} // namespace tally
