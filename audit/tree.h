// The Merkle tree of a log, computed again from its entries and held against the tile files, byte
// for byte, those of earlier sizes (superseded partial tiles) included.
#pragma once

#include "attest/merkle.h"
#include "audit/source.h"

#include <vector>

namespace tally {

// Holds at most one tile of each level in memory.
class TreeCheck {
public:
    explicit TreeCheck(const Source &source) : source_(source) {}

    // Begins behind the first `size` leaves, which the log's tiles must show to lead to `root`.
    Status resume(uint64_t size, const Digest &root);
    // Whether a leaf before the first that is added is the one that the tiles had then.
    bool had(uint64_t index, const Digest &leaf) const;

    // The hashes of the next leaves: 256 of them, or the last ones of the log (`last`), when the
    // partial tiles at the right edge are compared too. The error names tile and hash.
    Status add(const std::vector<Digest> &leaves, bool last);
    Digest root() const { return tree_.root(); }

private:
    Status push(size_t level, const Digest &hash);
    Status compare(size_t level) const;
    Status compare_file(const Tile &tile, const Bytes &file, ByteView expected) const;

    struct Level {
        uint64_t index = 0; // of the tile being filled
        std::vector<Digest> hashes;
    };

    const Source &source_;
    std::vector<Level> levels_;
    CompactTree tree_;
};

// Holds the earlier, shorter forms of an entry bundle against `bundle`, whose entries they begin
// with. `entries` are views into `bundle`.
Status check_superseded_bundles(const Source &source, const Tile &tile,
                                const std::vector<ByteView> &entries);

} // namespace tally
