// What only the central side can do with checkpoints: the Ed25519 line, and a published signed
// note.
#include "attest/checkpoint.h"
#include "tests/unit/support/keys.h"

#include <gtest/gtest.h>

namespace tally {
namespace {

TEST(CheckpointsCentral, BothKeysMustHaveSigned) {
    TestKeys keys;
    auto note = sign_checkpoint({TestKeys::kOrigin, 7, sha256({})}, keys.log_signers());
    ASSERT_TRUE(note);
    auto both = keys.log_keys();
    ASSERT_EQ(both.size(), 2U);
    ASSERT_TRUE(open_checkpoint(*note, both));

    size_t first = note->find("\n\n") + 2;
    size_t second = note->find('\n', first) + 1;
    std::string without_first = note->substr(0, first) + note->substr(second);
    std::string without_second = note->substr(0, second);
    EXPECT_FALSE(open_checkpoint(without_first, both));
    EXPECT_FALSE(open_checkpoint(without_second, both));
    EXPECT_TRUE(open_checkpoint(without_second, {both[0]}));
}

TEST(CheckpointsCentral, EveryChangedByteIsRefused) {
    TestKeys keys;
    auto note = sign_checkpoint({TestKeys::kOrigin, 7, sha256({})}, keys.log_signers());
    ASSERT_TRUE(note);
    auto both = keys.log_keys();
    for (size_t at = 0; at < note->size(); at++) {
        for (uint8_t bits : {0x01, 0x20, 0x80}) {
            std::string changed = *note;
            changed[at] = static_cast<char>(static_cast<uint8_t>(changed[at]) ^ bits);
            EXPECT_FALSE(open_checkpoint(changed, both)) << at;
        }
    }
}

// golang.org/x/mod/sumdb/note, example_test.go: the key "PeterNeumann+c74f20a3+...".
TEST(CheckpointsCentral, ThePublishedKeyHasThePublishedId) {
    auto keys = parse_vkeys("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n");
    ASSERT_TRUE(keys) << keys.error().message;
    EXPECT_EQ((*keys)[0].id, 0xc74f20a3U);
    EXPECT_EQ((*keys)[0].type, KeyType::kEd25519);
    std::string text = "If you think cryptography is the answer to your problem,\n"
                       "then you don't know what your problem is.\n";
    auto signature = from_base64("x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXg"
                                 "KvqfqdngotpRZb6KE6RyyBwJnAM=");
    ASSERT_TRUE(signature);
    EXPECT_EQ(get_be32(signature->data()), 0xc74f20a3U);
    EXPECT_TRUE((*keys)[0].key.verify(view(text), ByteView(*signature).subspan(4)));
}

} // namespace
} // namespace tally
