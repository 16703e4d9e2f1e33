// The log's tree: RFC 6962's known answers, and every small tree against the definition written
// down naively.
#include "attest/merkle.h"

#include <fstream>
#include <gtest/gtest.h>
#include <map>

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
