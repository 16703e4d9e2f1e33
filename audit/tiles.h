// Hashes of a log's tree, read from its tiles: what inclusion proofs are made of. Whoever uses them
// has walked the log before, or checks what comes out against a signed root.
#pragma once

#include "attest/merkle.h"
#include "audit/source.h"

#include <map>

namespace tally {

class TileHashes {
public:
    TileHashes(const Source &source, uint64_t size) : source_(source), size_(size) {}

    // As attest/merkle.h HashReader.
    Result<Digest> operator()(unsigned level, uint64_t position);

private:
    Result<const std::vector<Digest> *> tile(unsigned level, uint64_t index);

    const Source &source_;
    uint64_t size_;
    std::map<std::pair<unsigned, uint64_t>, std::vector<Digest>> tiles_; // read last
};

} // namespace tally
