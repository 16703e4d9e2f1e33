// The witness by the letter of C2SP tlog-witness.
#include "audit/witness.h"

#include "attest/merkle.h"
#include "base/durable.h"
#include "tests/unit/support/keys.h"

#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>

namespace tally {
namespace {

class WitnessTest : public testing::Test {
protected:
    WitnessTest() {
        std::string pattern = testing::TempDir() + "witness-XXXXXX";
        EXPECT_NE(mkdtemp(pattern.data()), nullptr);
        directory_ = pattern;
        for (int i = 0; i < 40; ++i)
            leaves_.push_back(leaf_hash(view("leaf " + std::to_string(i))));
        auto key = witness_key(kName, signer_.key.verifying_key());
        EXPECT_TRUE(key);
        key_ = *key;
    }
    ~WitnessTest() override { std::filesystem::remove_all(directory_); }

    Result<Witness> open() {
        auto signer = SigningKey::from_pem(pem_);
        EXPECT_TRUE(signer);
        return Witness::open(directory_ + "/state", {kName, *std::move(signer)},
                             {keys_.log_keys()});
    }
    std::string note(uint64_t size, const std::vector<Digest> &leaves) const {
        Digest root = size == 0 ? empty_root() : subtree_root(std::span(leaves).first(size));
        return sign_checkpoint({TestKeys::kOrigin, size, root}, keys_.log_signers()).value();
    }
    std::string note(uint64_t size) const { return note(size, leaves_); }
    // What a correct client sends.
    std::string request(uint64_t old, uint64_t size) const {
        std::string body = "old " + std::to_string(old) + "\n";
        if (old > 0 && old < size) {
            auto proof = consistency_proof(
                old, size, [&](unsigned level, uint64_t position) -> Result<Digest> {
                    return subtree_root(
                        std::span(leaves_).subspan(position << level, size_t{1} << level));
                });
            for (const Digest &hash : *proof)
                body += to_base64(hash) + "\n";
        }
        return body + "\n" + note(size);
    }
    static unsigned status(Witness &witness, const std::string &request) {
        auto answer = witness.add_checkpoint(request, kNow);
        EXPECT_TRUE(answer) << answer.error().message;
        return answer ? answer->status : 0;
    }
    void expect_cosigned(Witness &witness, uint64_t old, uint64_t size) {
        auto answer = witness.add_checkpoint(request(old, size), kNow);
        ASSERT_TRUE(answer);
        ASSERT_EQ(answer->status, 200U) << answer->body;
        ASSERT_TRUE(answer->body.ends_with('\n'));
        std::string line = answer->body.substr(0, answer->body.size() - 1);
        std::string signed_note = note(size);
        auto seconds = check_cosignature(split_note(signed_note)->text, line, *key_);
        ASSERT_TRUE(seconds) << seconds.error().message;
        EXPECT_EQ(*seconds, kNow);
        EXPECT_EQ(count_cosignatures(signed_note + answer->body, {*key_}), 1U);
        EXPECT_EQ(count_cosignatures(note(size + 1) + answer->body, {*key_}), 0U);
    }

    static constexpr const char *kName = "witness.example/w1";
    static constexpr uint64_t kNow = 1'800'000'000;
    TestKeys keys_;
    std::string pem_ = TestKeys().read("log/ed25519.key");
    NoteSigner signer_{kName, SigningKey::from_pem(pem_).value()};
    std::optional<WitnessKey> key_;
    std::string directory_;
    std::vector<Digest> leaves_;
};

TEST_F(WitnessTest, CosignsALogThatGrows) {
    auto witness = open();
    ASSERT_TRUE(witness) << witness.error().message;
    expect_cosigned(*witness, 0, 0);
    expect_cosigned(*witness, 0, 5);
    expect_cosigned(*witness, 5, 5); // again: a new timestamp
    expect_cosigned(*witness, 5, 8);
    expect_cosigned(*witness, 8, 39);
}

TEST_F(WitnessTest, RemembersAcrossRestarts) {
    {
        auto witness = open();
        ASSERT_TRUE(witness);
        expect_cosigned(*witness, 0, 7);
        EXPECT_FALSE(open()); // one at a time
    }
    auto witness = open();
    ASSERT_TRUE(witness) << witness.error().message;
    auto answer = witness->add_checkpoint(request(0, 9), kNow);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 409U);
    EXPECT_EQ(answer->type, "text/x.tlog.size");
    EXPECT_EQ(answer->body, "7\n");
    expect_cosigned(*witness, 7, 9);
}

TEST_F(WitnessTest, CosignsNoFork) {
    auto witness = open();
    ASSERT_TRUE(witness);
    expect_cosigned(*witness, 0, 7);
    auto forked = leaves_;
    forked[3][0] ^= 1;
    // The same size, another root.
    EXPECT_EQ(status(*witness, "old 7\n\n" + note(7, forked)), 409U);
    // Larger, with the honest log's proof.
    std::string honest = request(7, 20);
    std::string lines = honest.substr(0, honest.find("\n\n") + 2);
    EXPECT_EQ(status(*witness, lines + note(20, forked)), 422U);
    // Without a proof.
    EXPECT_EQ(status(*witness, "old 7\n\n" + note(20)), 422U);
    // A rewind, by a client that says so and by one that does not.
    EXPECT_EQ(status(*witness, "old 7\n\n" + note(5)), 400U);
    EXPECT_EQ(status(*witness, "old 5\n\n" + note(5)), 409U);
    EXPECT_EQ(status(*witness, "old 0\n\n" + note(20, forked)), 409U);
    expect_cosigned(*witness, 7, 20);
}

TEST_F(WitnessTest, TheEmptyLogHasNoProofAndOneRoot) {
    auto witness = open();
    ASSERT_TRUE(witness);
    EXPECT_EQ(status(*witness, "old 0\n" + to_base64(leaves_[0]) + "\n\n" + note(5)), 422U);
    auto other = sign_checkpoint({TestKeys::kOrigin, 0, leaves_[0]}, keys_.log_signers());
    EXPECT_EQ(status(*witness, "old 0\n\n" + *other), 422U);
    expect_cosigned(*witness, 0, 5);
}

TEST_F(WitnessTest, KnowsWhoseCheckpointItIs) {
    auto witness = open();
    ASSERT_TRUE(witness);
    auto signed_as = [&](const std::string &origin) {
        std::vector<NoteSigner> signers;
        signers.push_back({origin, SigningKey::from_pem(pem_).value()});
        return sign_checkpoint({origin, 1, leaves_[0]}, signers).value();
    };
    EXPECT_EQ(status(*witness, "old 0\n\n" + signed_as("example.com/other")), 404U);
    // The right origin, another key.
    EXPECT_EQ(status(*witness, "old 0\n\n" + signed_as(TestKeys::kOrigin)), 403U);
    std::string changed = note(1);
    changed[changed.find('\n') + 1] = '2';
    EXPECT_EQ(status(*witness, "old 0\n\n" + changed), 403U);
    EXPECT_FALSE(
        std::filesystem::exists(directory_ + "/state/" + to_hex(sha256(view(TestKeys::kOrigin)))));
}

TEST_F(WitnessTest, RefusesWhatIsNoRequest) {
    auto witness = open();
    ASSERT_TRUE(witness);
    std::string lines;
    for (int i = 0; i < 64; ++i)
        lines += to_base64(leaves_[0]) + "\n";
    for (const std::string &body :
         {std::string(), std::string("old"), std::string("old 0"), std::string("old 0\n"),
          std::string("old 0\n\n"), "old -1\n\n" + note(1), "old 01\n\n" + note(1),
          "Old 0\n\n" + note(1), "old 0\n" + note(1), "old 2\n\n" + note(1),
          "old 0\nshort\n\n" + note(1), "old 0\n" + lines + "\n" + note(1),
          std::string("old 0\n\nexample.com/fleet\n1\n"), std::string(200'000, 'x')})
        EXPECT_EQ(status(*witness, body), 400U) << body.substr(0, 40);
    expect_cosigned(*witness, 0, 1);
}

TEST_F(WitnessTest, CosignsNothingThatItCannotKeep) {
    auto witness = open();
    ASSERT_TRUE(witness);
    expect_cosigned(*witness, 0, 3);
    std::string file = directory_ + "/state/" + to_hex(sha256(view(TestKeys::kOrigin)));
    std::filesystem::create_directories(file + ".tmp");
    EXPECT_FALSE(witness->add_checkpoint(request(3, 4), kNow));
    std::filesystem::remove(file + ".tmp");
    expect_cosigned(*witness, 3, 5); // it is still where it was
}

TEST_F(WitnessTest, DamagedStateIsNotTakenForNone) {
    std::string file = directory_ + "/state/" + to_hex(sha256(view(TestKeys::kOrigin)));
    ASSERT_TRUE(make_directories(directory_ + "/state"));
    ASSERT_TRUE(replace_file(file, view("rubbish")));
    auto witness = open();
    ASSERT_FALSE(witness);
    EXPECT_NE(witness.error().message.find(file), std::string::npos);
}

TEST_F(WitnessTest, ItsKeyTravelsAsAVkey) {
    auto parsed = parse_witness_vkey(to_vkey(*key_));
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(parsed->id, key_->id);
    EXPECT_EQ(parsed->key.spki(), key_->key.spki());
    EXPECT_EQ(open()->vkey(), to_vkey(*key_));
    // A log's key is no witness's, even the same one.
    std::string as_log = to_vkey(note_key(kName, signer_.key.verifying_key()));
    EXPECT_FALSE(parse_witness_vkey(as_log));
    EXPECT_NE(note_key(kName, signer_.key.verifying_key()).id, key_->id);
    std::string wrong_id = to_vkey(*key_);
    wrong_id[wrong_id.find('+') + 1] ^= 1;
    EXPECT_FALSE(parse_witness_vkey(wrong_id));
    EXPECT_FALSE(witness_key("two words", signer_.key.verifying_key()));
    EXPECT_FALSE(witness_key("ecdsa", keys_.log_signers()[1].key.verifying_key()));
}

} // namespace
} // namespace tally
