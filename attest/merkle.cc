#include "attest/merkle.h"

#include <algorithm>
#include <bit>
#include <string>

namespace tally {

namespace {

// The largest power of two smaller than n, for n > 1 (RFC 6962 2.1).
uint64_t split_point(uint64_t n) {
    return std::bit_floor(n - 1);
}

// MTH(D[begin:begin+size]) from perfect subtrees; begin is a multiple of the largest of them.
// Any other size reaches to the tree's end, so that `begin` names it in `edge`.
Result<Digest> range_root(uint64_t begin, uint64_t size, const HashReader &read,
                          EdgeRoots *edge = nullptr) {
    if (std::has_single_bit(size)) {
        auto level = static_cast<unsigned>(std::countr_zero(size));
        return read(level, begin >> level);
    }
    if (edge != nullptr) {
        if (auto known = edge->find(begin); known != edge->end())
            return known->second;
    }
    uint64_t left_size = split_point(size);
    auto left = range_root(begin, left_size, read);
    if (!left)
        return left;
    auto right = range_root(begin + left_size, size - left_size, read, edge);
    if (!right)
        return right;
    Digest root = node_hash(*left, *right);
    if (edge != nullptr)
        edge->emplace(begin, root);
    return root;
}

// PATH(index, D[begin:begin+size]), RFC 6962 2.1.1; index counts from begin.
Status path(uint64_t index, uint64_t begin, uint64_t size, const HashReader &read, EdgeRoots *edge,
            std::vector<Digest> &proof) {
    if (size == 1)
        return ok();
    uint64_t k = split_point(size);
    bool left = index < k;
    TALLY_TRY(left ? path(index, begin, k, read, edge, proof)
                   : path(index - k, begin + k, size - k, read, edge, proof));
    auto sibling = left ? range_root(begin + k, size - k, read, edge) : range_root(begin, k, read);
    if (!sibling)
        return sibling.error();
    proof.push_back(*sibling);
    return ok();
}

// SUBPROOF(older, D[begin:begin+size], whole), RFC 6962 2.1.2.
Status subproof(uint64_t older, uint64_t begin, uint64_t size, bool whole, const HashReader &read,
                std::vector<Digest> &proof) {
    if (older == size) {
        if (whole)
            return ok();
        auto root = range_root(begin, size, read);
        if (!root)
            return root.error();
        proof.push_back(*root);
        return ok();
    }
    uint64_t k = split_point(size);
    bool left = older <= k;
    TALLY_TRY(left ? subproof(older, begin, k, whole, read, proof)
                   : subproof(older - k, begin + k, size - k, false, read, proof));
    auto sibling = left ? range_root(begin + k, size - k, read) : range_root(begin, k, read);
    if (!sibling)
        return sibling.error();
    proof.push_back(*sibling);
    return ok();
}

Error too_short() {
    return Error{"proof is too short"};
}

} // namespace

Digest leaf_hash(ByteView entry) {
    const uint8_t prefix = 0x00;
    return sha256({&prefix, 1}, entry);
}

Digest node_hash(const Digest &left, const Digest &right) {
    std::array<uint8_t, 1 + 2 * sizeof(Digest)> node{0x01};
    std::copy(left.begin(), left.end(), node.begin() + 1);
    std::copy(right.begin(), right.end(), node.begin() + 1 + sizeof(Digest));
    return sha256(node);
}

Digest empty_root() {
    return sha256({});
}

void CompactTree::add(const Digest &leaf) {
    Digest carried = leaf;
    // One merge for each trailing one bit of the size, as in counting.
    for (uint64_t bits = size_; (bits & 1) != 0; bits >>= 1) {
        carried = node_hash(right_edge_.back(), carried);
        right_edge_.pop_back();
    }
    right_edge_.push_back(carried);
    size_++;
}

Digest CompactTree::root() const {
    if (right_edge_.empty())
        return empty_root();
    Digest root = right_edge_.back();
    for (size_t i = right_edge_.size() - 1; i-- > 0;)
        root = node_hash(right_edge_[i], root);
    return root;
}

Digest subtree_root(std::span<const Digest> leaves) {
    CompactTree tree;
    for (const Digest &leaf : leaves)
        tree.add(leaf);
    return tree.root();
}

Result<std::vector<Digest>> inclusion_proof(uint64_t index, uint64_t size, const HashReader &read,
                                            EdgeRoots *edge) {
    if (index >= size)
        return Error{"no leaf " + std::to_string(index) + " in a tree of " + std::to_string(size)};
    std::vector<Digest> proof;
    TALLY_TRY(path(index, 0, size, read, edge, proof));
    return proof;
}

Result<std::vector<Digest>> consistency_proof(uint64_t older, uint64_t size,
                                              const HashReader &read) {
    if (older == 0 || older > size)
        return Error{"no consistency proof from size " + std::to_string(older) + " to " +
                     std::to_string(size)};
    std::vector<Digest> proof;
    TALLY_TRY(subproof(older, 0, size, true, read, proof));
    return proof;
}

Status verify_inclusion(const Digest &leaf, uint64_t index, uint64_t size,
                        std::span<const Digest> proof, const Digest &root) {
    if (index >= size)
        return Error{"leaf " + std::to_string(index) + " is outside a tree of " +
                     std::to_string(size)};
    uint64_t fn = index;
    uint64_t sn = size - 1;
    Digest hash = leaf;
    for (const Digest &sibling : proof) {
        if (sn == 0)
            return Error{"proof is too long"};
        if ((fn & 1) != 0 || fn == sn) {
            hash = node_hash(sibling, hash);
            while ((fn & 1) == 0 && fn != 0) {
                fn >>= 1;
                sn >>= 1;
            }
        } else {
            hash = node_hash(hash, sibling);
        }
        fn >>= 1;
        sn >>= 1;
    }
    if (sn != 0)
        return too_short();
    if (hash != root)
        return Error{"proof leads to another root"};
    return ok();
}

Status verify_consistency(uint64_t older, uint64_t size, std::span<const Digest> proof,
                          const Digest &older_root, const Digest &root) {
    if (older == 0 || older > size)
        return Error{"no consistency from size " + std::to_string(older) + " to " +
                     std::to_string(size)};
    if (older == size) {
        if (!proof.empty())
            return Error{"proof between equal sizes must be empty"};
        return older_root == root ? ok() : Status(Error{"equal sizes, different roots"});
    }
    if (proof.empty() && !std::has_single_bit(older))
        return too_short();
    std::vector<Digest> nodes;
    if (std::has_single_bit(older))
        nodes.push_back(older_root);
    nodes.insert(nodes.end(), proof.begin(), proof.end());
    uint64_t fn = older - 1;
    uint64_t sn = size - 1;
    while ((fn & 1) != 0) {
        fn >>= 1;
        sn >>= 1;
    }
    Digest fr = nodes[0];
    Digest sr = nodes[0];
    for (size_t i = 1; i < nodes.size(); i++) {
        if (sn == 0)
            return Error{"proof is too long"};
        if ((fn & 1) != 0 || fn == sn) {
            fr = node_hash(nodes[i], fr);
            sr = node_hash(nodes[i], sr);
            while ((fn & 1) == 0 && fn != 0) {
                fn >>= 1;
                sn >>= 1;
            }
        } else {
            sr = node_hash(sr, nodes[i]);
        }
        fn >>= 1;
        sn >>= 1;
    }
    if (sn != 0)
        return too_short();
    if (fr != older_root)
        return Error{"proof leads to another older root"};
    if (sr != root)
        return Error{"proof leads to another root"};
    return ok();
}

} // namespace tally
