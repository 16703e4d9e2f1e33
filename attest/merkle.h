// RFC 6962 section 2.1: the Merkle tree of the log, its hashes and inclusion proofs.
//
//   leaf = SHA-256(0x00 || entry)   node = SHA-256(0x01 || left || right)   empty = SHA-256("")
#pragma once

#include "attest/crypto.h"

#include <functional>
#include <map>
#include <span>
#include <utility>
#include <vector>

namespace tally {

Digest leaf_hash(ByteView entry);
Digest node_hash(const Digest &left, const Digest &right);
Digest empty_root();

// Grows leaf by leaf and knows its root; holds one hash per set bit of its size.
class CompactTree {
public:
    CompactTree() = default;
    // A tree of `size` leaves from its perfect subtrees, the largest first: one a set bit of size.
    CompactTree(uint64_t size, std::vector<Digest> right_edge)
        : size_(size), right_edge_(std::move(right_edge)) {}
    void add(const Digest &leaf);
    uint64_t size() const { return size_; }
    Digest root() const;

private:
    uint64_t size_ = 0;
    std::vector<Digest> right_edge_; // perfect subtrees, largest first
};

// The root over the leaves [begin, end), as RFC 6962's MTH(D[begin:end]). `end` > `begin`.
Digest subtree_root(std::span<const Digest> leaves);

// Reads the hash of the perfect subtree at `level` (0 = leaves) whose first leaf is
// `position << level`; how tiles or memory serve proofs.
using HashReader = std::function<Result<Digest>(unsigned level, uint64_t position)>;

// Of a tree of one size, by their first leaf: roots along the right edge, which belong to no
// perfect subtree. Proofs of many leaves ask for the same few.
using EdgeRoots = std::map<uint64_t, Digest>;

// RFC 6962 2.1.1, leaf to root. An error unless index < size. `edge`: kept from one to the next.
Result<std::vector<Digest>> inclusion_proof(uint64_t index, uint64_t size, const HashReader &read,
                                            EdgeRoots *edge = nullptr);
// RFC 6962 2.1.2. An error unless 0 < older <= size.
Result<std::vector<Digest>> consistency_proof(uint64_t older, uint64_t size,
                                              const HashReader &read);

// RFC 9162 2.1.3.2 and 2.1.4.2. An error says what does not fit.
Status verify_inclusion(const Digest &leaf, uint64_t index, uint64_t size,
                        std::span<const Digest> proof, const Digest &root);
Status verify_consistency(uint64_t older, uint64_t size, std::span<const Digest> proof,
                          const Digest &older_root, const Digest &root);

} // namespace tally
