// Checkpoints and their keys: only what the log's keys signed, to the byte.
#include "attest/checkpoint.h"
#include "tests/unit/support/keys.h"

#include <gtest/gtest.h>

namespace tally {
namespace {

// Signed with ECDSA, which both sides of the seam can do and check; checkpoint_openssl_test.cc adds
// the Ed25519 line.
class Checkpoints : public testing::Test {
protected:
    Checkpoints() {
        auto key = SigningKey::from_pem(keys_.read("log/ecdsa.key"));
        EXPECT_TRUE(key);
        keys_of_log_.push_back(note_key(TestKeys::kOrigin, key->verifying_key()));
        signers_.push_back({TestKeys::kOrigin, std::move(*key)});
        checkpoint_.root = sha256(view("root"));
    }

    std::string sign(const Checkpoint &checkpoint) {
        auto note = sign_checkpoint(checkpoint, signers_);
        EXPECT_TRUE(note);
        return note ? *note : "";
    }
    // A note over any text, signed for real.
    std::string sign_text(const std::string &text) {
        auto signature = signers_[0].key.sign(view(text));
        Bytes line;
        put_be32(line, keys_of_log_[0].id);
        append(line, *signature);
        return text + "\n\xe2\x80\x94 " + TestKeys::kOrigin + " " + to_base64(line) + "\n";
    }
    bool opens(const std::string &note) const {
        return static_cast<bool>(open_checkpoint(note, keys_of_log_));
    }

    TestKeys keys_;
    std::vector<NoteSigner> signers_;
    std::vector<NoteKey> keys_of_log_;
    Checkpoint checkpoint_{TestKeys::kOrigin, 1234, {}};
};

TEST_F(Checkpoints, WhatWasSignedOpens) {
    auto opened = open_checkpoint(sign(checkpoint_), keys_of_log_);
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_EQ(opened->origin, TestKeys::kOrigin);
    EXPECT_EQ(opened->size, 1234U);
    EXPECT_EQ(opened->root, checkpoint_.root);
}

TEST_F(Checkpoints, EveryChangedByteIsRefused) {
    std::string note = sign(checkpoint_);
    for (size_t at = 0; at < note.size(); at++) {
        for (uint8_t bits : {0x01, 0x20, 0x80}) {
            std::string changed = note;
            changed[at] = static_cast<char>(static_cast<uint8_t>(changed[at]) ^ bits);
            EXPECT_FALSE(opens(changed)) << at;
        }
    }
}

TEST_F(Checkpoints, EveryCutIsRefused) {
    std::string note = sign(checkpoint_);
    for (size_t length = 0; length < note.size(); length++)
        EXPECT_FALSE(opens(note.substr(0, length))) << length;
}

TEST_F(Checkpoints, OtherKeysLinesAreIgnoredAndOursIsDemanded) {
    std::string note = sign(checkpoint_);
    std::string witness = "\xe2\x80\x94 witness.example AAAAAQIDBAU=\n";
    EXPECT_TRUE(opens(note + witness));
    size_t ours = note.find("\n\n") + 2;
    EXPECT_FALSE(opens(note.substr(0, ours) + witness));
    EXPECT_FALSE(opens(note.substr(0, ours)));
}

TEST_F(Checkpoints, ABadSignatureOfAKnownKeyRejectsTheNote) {
    Checkpoint other = checkpoint_;
    other.size++;
    std::string note = sign(checkpoint_);
    std::string foreign = sign(other);
    EXPECT_FALSE(opens(note + foreign.substr(foreign.find("\n\n") + 2)));
}

TEST_F(Checkpoints, AtMostSixteenSignatureLines) {
    std::string note = sign(checkpoint_);
    for (int i = 1; i < 16; i++)
        note += "\xe2\x80\x94 witness.example AAAAAQIDBAU=\n";
    EXPECT_TRUE(opens(note));
    EXPECT_FALSE(opens(note + "\xe2\x80\x94 witness.example AAAAAQIDBAU=\n"));
}

TEST_F(Checkpoints, OnlyTheOneTextFormIsTaken) {
    std::string root = to_base64(checkpoint_.root);
    std::string origin = TestKeys::kOrigin;
    EXPECT_TRUE(opens(sign_text(origin + "\n7\n" + root + "\n")));
    EXPECT_TRUE(opens(sign_text(origin + "\n7\n" + root + "\nextension\n")));
    EXPECT_FALSE(opens(sign_text(origin + "\n07\n" + root + "\n")));
    EXPECT_FALSE(opens(sign_text(origin + "\n+7\n" + root + "\n")));
    EXPECT_FALSE(opens(sign_text(origin + "\n7 \n" + root + "\n")));
    EXPECT_FALSE(opens(sign_text(origin + "\n18446744073709551616\n" + root + "\n")));
    EXPECT_FALSE(opens(sign_text(origin + "\n7\n" + root.substr(4) + "\n")));
    EXPECT_FALSE(opens(sign_text(origin + "\n7\n" + root + "\next\x1b[2J\n")));
    EXPECT_FALSE(opens(sign_text("other.example/log\n7\n" + root + "\n")));
    EXPECT_FALSE(opens(sign_text(origin + "\n7\n")));
}

TEST_F(Checkpoints, KeysTravelAsVkeys) {
    std::string line = to_vkey(keys_of_log_[0]);
    auto keys = parse_vkeys("# the log's\n\n" + line + "\n");
    ASSERT_TRUE(keys) << keys.error().message;
    ASSERT_EQ(keys->size(), 1U);
    EXPECT_EQ((*keys)[0].id, keys_of_log_[0].id);
    EXPECT_EQ((*keys)[0].key.spki(), keys_of_log_[0].key.spki());
}

TEST_F(Checkpoints, BadVkeysNameTheirLine) {
    std::string line = to_vkey(keys_of_log_[0]);
    std::string wrong_id = line;
    size_t id = line.find('+') + 1;
    wrong_id[id] = wrong_id[id] == '0' ? '1' : '0';
    for (const std::string &bad :
         {std::string("garbage"), wrong_id, line.substr(0, line.size() - 4), line + "A",
          line.substr(0, id + 9) + "AwAA", " " + line})
        EXPECT_FALSE(parse_vkeys(line + "\n" + bad + "\n")) << bad;
    auto refused = parse_vkeys(line + "\ngarbage\n");
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("line 2"), std::string::npos);
    EXPECT_FALSE(parse_vkeys(""));
    EXPECT_FALSE(parse_vkeys("# nothing\n"));
}

} // namespace
} // namespace tally
