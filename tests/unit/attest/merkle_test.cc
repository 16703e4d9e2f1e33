// The log's tree: RFC 6962's known answers, and every small tree against the definition written
// down naively.
#include "attest/merkle.h"

#include <bit>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <random>

namespace tally {
namespace {

Digest digest_of(const std::string &hex) {
    Digest digest{};
    auto bytes = from_hex(hex);
    EXPECT_TRUE(bytes && bytes->size() == digest.size()) << hex;
    if (bytes)
        std::copy(bytes->begin(), bytes->end(), digest.begin());
    return digest;
}

// RFC 6962 2.1, word by word.
Digest naive_root(std::span<const Digest> leaves) {
    if (leaves.empty())
        return empty_root();
    if (leaves.size() == 1)
        return leaves[0];
    size_t k = 1;
    while (k * 2 < leaves.size())
        k *= 2;
    return node_hash(naive_root(leaves.first(k)), naive_root(leaves.subspan(k)));
}

std::vector<Digest> numbered_leaves(size_t count) {
    std::vector<Digest> leaves;
    for (size_t i = 0; i < count; i++)
        leaves.push_back(leaf_hash(view("leaf " + std::to_string(i))));
    return leaves;
}

HashReader reader(const std::vector<Digest> &leaves) {
    return [&leaves](unsigned level, uint64_t position) -> Result<Digest> {
        size_t width = size_t{1} << level;
        return naive_root(std::span(leaves).subspan(position * width, width));
    };
}

TEST(Merkle, KnownAnswers) {
    std::ifstream data("tests/vectors/rfc6962.data");
    std::string word;
    std::vector<Digest> leaves;
    CompactTree tree;
    int roots = 0;
    std::map<uint64_t, Digest> compact{{0, tree.root()}};
    for (std::string line; std::getline(data, line);) {
        std::string_view rest = line;
        std::string_view kind = take_until(rest, ' ');
        if (kind == "leaf") {
            auto entry = from_hex(rest == "-" ? "" : rest);
            ASSERT_TRUE(entry);
            leaves.push_back(leaf_hash(*entry));
            tree.add(leaves.back());
            compact[tree.size()] = tree.root();
        } else if (kind == "root") {
            auto size = parse_decimal(take_until(rest, ' '));
            ASSERT_TRUE(size);
            Digest expected = digest_of(std::string(rest));
            EXPECT_EQ(naive_root(std::span(leaves).first(*size)), expected) << *size;
            EXPECT_EQ(compact.at(*size), expected) << *size;
            roots++;
        }
    }
    EXPECT_EQ(roots, 9);
}

TEST(Merkle, KnownInclusionProof) {
    // certificate-transparency's test path for leaf 1 of 8 begins with leaf 0's hash.
    auto leaves = numbered_leaves(8);
    auto proof = inclusion_proof(1, 8, reader(leaves));
    ASSERT_TRUE(proof);
    ASSERT_EQ(proof->size(), 3U);
    EXPECT_EQ((*proof)[0], leaves[0]);
    EXPECT_EQ((*proof)[1], node_hash(leaves[2], leaves[3]));
}

TEST(Merkle, CompactTreeAgreesWithTheDefinition) {
    auto leaves = numbered_leaves(300);
    CompactTree tree;
    for (size_t size = 1; size <= leaves.size(); size++) {
        tree.add(leaves[size - 1]);
        ASSERT_EQ(tree.root(), naive_root(std::span(leaves).first(size))) << size;
        ASSERT_EQ(subtree_root(std::span(leaves).first(size)), tree.root()) << size;
    }
}

// All perfect subtrees of some leaves, so that thousands of proofs cost no hashing of leaves.
class Perfect {
public:
    explicit Perfect(const std::vector<Digest> &leaves) : levels_{leaves} {
        while (levels_.back().size() > 1) {
            const std::vector<Digest> &below = levels_.back();
            std::vector<Digest> level;
            for (size_t i = 0; i + 1 < below.size(); i += 2)
                level.push_back(node_hash(below[i], below[i + 1]));
            levels_.push_back(std::move(level));
        }
    }
    HashReader reader() const {
        return [this](unsigned level, uint64_t position) -> Result<Digest> {
            if (level >= levels_.size() || position >= levels_[level].size())
                return Error{"no such subtree"};
            return levels_[level][position];
        };
    }

private:
    std::vector<std::vector<Digest>> levels_;
};

TEST(Merkle, EveryProofOfEveryTreeUpTo300) {
    constexpr uint64_t kMost = 300;
    auto leaves = numbered_leaves(kMost);
    Perfect tree(leaves);
    std::vector<Digest> roots{empty_root()};
    for (uint64_t size = 1; size <= kMost; size++)
        roots.push_back(naive_root(std::span(leaves).first(size)));
    for (uint64_t size = 1; size <= kMost; size++) {
        for (uint64_t index = 0; index < size; index++) {
            auto proof = inclusion_proof(index, size, tree.reader());
            ASSERT_TRUE(proof);
            ASSERT_TRUE(verify_inclusion(leaves[index], index, size, *proof, roots[size]))
                << index << " of " << size;
            // Of no other leaf, and in no other tree.
            uint64_t other = (index + 1) % size;
            if (size > 1) {
                ASSERT_FALSE(verify_inclusion(leaves[other], index, size, *proof, roots[size]));
                ASSERT_FALSE(verify_inclusion(leaves[index], other, size, *proof, roots[size]));
            }
            ASSERT_FALSE(verify_inclusion(leaves[index], index, size, *proof, roots[size - 1]));
        }
        for (uint64_t older = 1; older <= size; older++) {
            auto proof = consistency_proof(older, size, tree.reader());
            ASSERT_TRUE(proof);
            ASSERT_TRUE(verify_consistency(older, size, *proof, roots[older], roots[size]))
                << older << " to " << size;
            ASSERT_FALSE(verify_consistency(older, size, *proof, roots[older - 1], roots[size]));
            ASSERT_FALSE(verify_consistency(older, size, *proof, roots[older], roots[size - 1]));
        }
    }
}

// Trees far too large to hold: a few leaves are themselves, all the others alike, so that a subtree
// without one of the few is known by its height.
class SparseTree {
public:
    explicit SparseTree(std::map<uint64_t, Digest> few) : few_(std::move(few)) {
        Digest alike = leaf_hash(view("one of many"));
        for (int height = 0; height <= 24; height++) {
            alike_.push_back(alike);
            alike = node_hash(alike, alike);
        }
    }
    Digest leaf(uint64_t index) const {
        auto found = few_.find(index);
        return found == few_.end() ? alike_[0] : found->second;
    }
    // MTH(D[begin:begin+size]) by RFC 6962's definition.
    Digest root(uint64_t begin, uint64_t size) const {
        auto first = few_.lower_bound(begin);
        bool has_few = first != few_.end() && first->first < begin + size;
        if (size == 1)
            return leaf(begin);
        if (!has_few && std::has_single_bit(size))
            return alike_[static_cast<size_t>(std::countr_zero(size))];
        uint64_t k = 1;
        while (k * 2 < size)
            k *= 2;
        return node_hash(root(begin, k), root(begin + k, size - k));
    }
    HashReader reader() const {
        return [this](unsigned level, uint64_t position) -> Result<Digest> {
            return root(position << level, uint64_t{1} << level);
        };
    }

private:
    std::map<uint64_t, Digest> few_;
    std::vector<Digest> alike_; // by height
};

TEST(Merkle, RandomProofsOfTreesUpToTenMillion) {
    constexpr uint64_t kMost = 10'000'000;
    std::mt19937_64 random(6962); // the same trees every time
    auto below = [&](uint64_t end) { return random() % end; };
    for (int round = 0; round < 500; round++) {
        uint64_t size = 2 + below(kMost - 1);
        uint64_t index = below(size);
        uint64_t older = 1 + below(size);
        std::map<uint64_t, Digest> few{{index, leaf_hash(view("the one"))}};
        for (int i = 0; i < 6; i++)
            few.emplace(below(size), leaf_hash(view(std::to_string(random()))));
        SparseTree tree(few);
        Digest root = tree.root(0, size);

        auto included = inclusion_proof(index, size, tree.reader());
        ASSERT_TRUE(included);
        ASSERT_TRUE(verify_inclusion(tree.leaf(index), index, size, *included, root))
            << index << " of " << size;
        EXPECT_FALSE(verify_inclusion(leaf_hash(view("x")), index, size, *included, root));
        EXPECT_FALSE(verify_inclusion(tree.leaf(index), (index + 1) % size, size, *included, root));
        (*included)[below(included->size())][below(32)] ^= 1;
        EXPECT_FALSE(verify_inclusion(tree.leaf(index), index, size, *included, root));

        Digest older_root = tree.root(0, older);
        auto grown = consistency_proof(older, size, tree.reader());
        ASSERT_TRUE(grown);
        ASSERT_TRUE(verify_consistency(older, size, *grown, older_root, root))
            << older << " to " << size;
        few[below(older)] = leaf_hash(view("rewritten"));
        Digest rewritten = SparseTree(few).root(0, size);
        EXPECT_FALSE(verify_consistency(older, size, *grown, older_root, rewritten));
        auto forged = consistency_proof(older, size, SparseTree(few).reader());
        ASSERT_TRUE(forged);
        EXPECT_FALSE(verify_consistency(older, size, *forged, older_root, rewritten));
    }
}

TEST(Merkle, EveryInclusionProofVerifiesAndNoOther) {
    auto leaves = numbered_leaves(80);
    for (uint64_t size = 1; size <= leaves.size(); size++) {
        Digest root = naive_root(std::span(leaves).first(size));
        for (uint64_t index = 0; index < size; index++) {
            auto proof = inclusion_proof(index, size, reader(leaves));
            ASSERT_TRUE(proof);
            ASSERT_TRUE(verify_inclusion(leaves[index], index, size, *proof, root))
                << index << " of " << size;
            EXPECT_FALSE(verify_inclusion(leaf_hash(view("x")), index, size, *proof, root));
            EXPECT_FALSE(verify_inclusion(leaves[index], index, size, *proof, leaf_hash({})));
            if (size > 1) {
                EXPECT_FALSE(
                    verify_inclusion(leaves[index], (index + 1) % size, size, *proof, root));
            }
            auto longer = *proof;
            longer.push_back(root);
            EXPECT_FALSE(verify_inclusion(leaves[index], index, size, longer, root));
            if (!proof->empty()) {
                auto shorter = *proof;
                shorter.pop_back();
                EXPECT_FALSE(verify_inclusion(leaves[index], index, size, shorter, root));
                auto flipped = *proof;
                flipped[index % flipped.size()][0] ^= 1;
                EXPECT_FALSE(verify_inclusion(leaves[index], index, size, flipped, root));
            }
        }
        EXPECT_FALSE(inclusion_proof(size, size, reader(leaves)));
        EXPECT_FALSE(verify_inclusion(leaves[0], size, size, {}, root));
    }
}

TEST(Merkle, EveryConsistencyProofVerifiesAndNoOther) {
    auto leaves = numbered_leaves(80);
    for (uint64_t size = 1; size <= leaves.size(); size++) {
        Digest root = naive_root(std::span(leaves).first(size));
        for (uint64_t older = 1; older <= size; older++) {
            Digest older_root = naive_root(std::span(leaves).first(older));
            auto proof = consistency_proof(older, size, reader(leaves));
            ASSERT_TRUE(proof);
            ASSERT_TRUE(verify_consistency(older, size, *proof, older_root, root))
                << older << " to " << size;
            Digest wrong = older_root;
            wrong[31] ^= 1;
            EXPECT_FALSE(verify_consistency(older, size, *proof, wrong, root));
            EXPECT_FALSE(verify_consistency(older, size, *proof, older_root, wrong));
            auto longer = *proof;
            longer.push_back(root);
            EXPECT_FALSE(verify_consistency(older, size, longer, older_root, root));
            if (!proof->empty()) {
                auto shorter = *proof;
                shorter.pop_back();
                EXPECT_FALSE(verify_consistency(older, size, shorter, older_root, root));
            }
        }
    }
    EXPECT_FALSE(consistency_proof(0, 5, reader(leaves)));
    EXPECT_FALSE(consistency_proof(6, 5, reader(leaves)));
    EXPECT_FALSE(verify_consistency(0, 5, {}, empty_root(), leaves[0]));
    EXPECT_FALSE(verify_consistency(6, 5, {}, leaves[0], leaves[0]));
}

} // namespace
} // namespace tally
