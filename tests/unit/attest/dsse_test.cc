// DSSE: the published encoding, and envelopes that are not what they seem.
#include "attest/dsse.h"
#include "attest/envelope.pb.h"
#include "tests/unit/support/keys.h"

#include <gtest/gtest.h>

namespace tally {
namespace {

namespace pb = tallystick::v1;

class Dsse : public testing::Test {
protected:
    Dsse() : key_(keys_.signing_key("gpu1.example")) {}

    static Bytes serialise(const pb::Envelope &envelope) {
        std::string bytes = envelope.SerializeAsString();
        return to_bytes(view(bytes));
    }
    pb::Envelope good() {
        pb::Envelope envelope;
        auto sealed = dsse_seal(view("statement"), key_);
        EXPECT_TRUE(sealed);
        EXPECT_TRUE(envelope.ParseFromArray(sealed->data(), static_cast<int>(sealed->size())));
        return envelope;
    }

    TestKeys keys_;
    SigningKey key_;
};

TEST_F(Dsse, PreAuthenticationEncodingIsThePublishedOne) {
    EXPECT_EQ(text(dsse_pae("http://example.com/HelloWorld", view("hello world"))),
              "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    EXPECT_EQ(text(dsse_pae("", {})), "DSSEv1 0  0 ");
}

TEST_F(Dsse, WhatWasSealedOpensAndVerifies) {
    auto sealed = dsse_seal(view("statement"), key_);
    ASSERT_TRUE(sealed);
    auto opened = dsse_open(*sealed);
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_EQ(text(opened->payload), "statement");
    EXPECT_EQ(opened->key_id, key_id(key_.verifying_key()));
    EXPECT_TRUE(dsse_verify(*opened, key_.verifying_key()));
}

TEST_F(Dsse, AnotherKeyDoesNotVerify) {
    auto opened = dsse_open(*dsse_seal(view("statement"), key_));
    ASSERT_TRUE(opened);
    TestKeys others;
    EXPECT_FALSE(dsse_verify(*opened, others.signing_key("gpu1.example").verifying_key()));
}

TEST_F(Dsse, TheSignatureCoversTypeAndPayload) {
    auto opened = dsse_open(*dsse_seal(view("statement"), key_));
    ASSERT_TRUE(opened);
    EXPECT_FALSE(key_.verifying_key().verify(view("statement"), opened->signature));
    opened->payload.back() ^= 1;
    EXPECT_FALSE(dsse_verify(*opened, key_.verifying_key()));
}

TEST_F(Dsse, EveryChangedByteIsRefusedOrDoesNotVerify) {
    auto sealed = dsse_seal(view("statement"), key_);
    ASSERT_TRUE(sealed);
    for (size_t at = 0; at < sealed->size(); at++) {
        Bytes changed = *sealed;
        changed[at] ^= 0x01;
        auto opened = dsse_open(changed);
        bool believed = opened && dsse_verify(*opened, key_.verifying_key()) &&
                        opened->key_id == key_id(key_.verifying_key());
        EXPECT_FALSE(believed) << at;
    }
}

TEST_F(Dsse, EveryCutIsRefusedOrDoesNotVerify) {
    auto sealed = dsse_seal(view("statement"), key_);
    ASSERT_TRUE(sealed);
    for (size_t length = 0; length < sealed->size(); length++)
        EXPECT_FALSE(dsse_open(ByteView(*sealed).first(length))) << length;
}

TEST_F(Dsse, AnAttestationFitsIntoALogEntry) {
    Bytes most(65000, 'x');
    EXPECT_TRUE(dsse_seal(most, key_));
    Bytes too_many(65535, 'x');
    auto refused = dsse_seal(too_many, key_);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("65,535"), std::string::npos);
    EXPECT_FALSE(dsse_open(Bytes(65536, 0)));
}

TEST_F(Dsse, OddEnvelopesAreRefused) {
    pb::Envelope two = good();
    *two.add_signatures() = two.signatures(0);
    EXPECT_FALSE(dsse_open(serialise(two)));

    pb::Envelope none = good();
    none.clear_signatures();
    EXPECT_FALSE(dsse_open(serialise(none)));

    pb::Envelope other_type = good();
    other_type.set_payloadtype("application/vnd.in-toto+json");
    EXPECT_FALSE(dsse_open(serialise(other_type)));

    Bytes passenger = serialise(good());
    append(passenger, view("\x7a\x01x")); // field 15, which nobody defined
    EXPECT_FALSE(dsse_open(passenger));

    Bytes twice = serialise(good());
    append(twice, view("\x0a\x01x")); // a second payload, which would win
    EXPECT_FALSE(dsse_open(twice));
}

} // namespace
} // namespace tally
