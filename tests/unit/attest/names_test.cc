// Tokens are the same on every host that has the join key, and on both sides of the seam.
#include "attest/names.h"

#include <gtest/gtest.h>

namespace tally {
namespace {

const Bytes kJoin(32, 0x11);

TEST(Names, ATokenIsTheNamesKeyedHash) {
    // By another implementation: Python's hmac and base64.b32encode.
    std::string token = token_of(kJoin, name_of(kParty, "acme"));
    EXPECT_EQ(token, "sealed:5WFZOQMAU5ZG43WPSCK6PWLH");
    EXPECT_TRUE(is_token(token));
    EXPECT_EQ(token.size(), 31U);
}

TEST(Names, AnotherKeyKindOrNameIsAnotherToken) {
    std::string token = token_of(kJoin, name_of(kParty, "acme"));
    EXPECT_NE(token_of(Bytes(32, 0x12), name_of(kParty, "acme")), token);
    EXPECT_NE(token_of(kJoin, name_of(kCgroup, "acme")), token);
    EXPECT_NE(token_of(kJoin, name_of(kParty, "acmE")), token);
    EXPECT_NE(token_of(kJoin, name_of("name.a", "b")), token_of(kJoin, name_of("name", ".a\nb")));
}

TEST(Names, OnlyATokenLooksLikeOne) {
    std::string token = token_of(kJoin, name_of(kParty, "acme"));
    for (const std::string &text :
         {std::string(), std::string("acme"), std::string("sealed:"), token + "A",
          token.substr(0, 30), "sealed:" + std::string(24, '1'), "sealed:" + std::string(24, 'a')})
        EXPECT_FALSE(is_token(text)) << text;
}

TEST(Names, AValueIsWhatStandsBehindItsKind) {
    EXPECT_EQ(value_of(name_of(kCgroup, "/a\nb")), "/a\nb");
    EXPECT_EQ(value_of(view("no kind")), "no kind");
    EXPECT_EQ(value_of({}), "");
}

TEST(Names, AJoinKeyIsTakenWhole) {
    std::string digits(64, 'a');
    EXPECT_TRUE(parse_join_key(digits + "\n"));
    EXPECT_TRUE(parse_join_key(digits));
    for (const std::string &bad :
         {std::string(), std::string("\n"), digits.substr(2) + "\n", digits + "aa\n",
          digits + "\n\n", digits + "\nmore", digits.substr(1) + "g\n",
          std::string("-----BEGIN PRIVATE KEY-----\n")})
        EXPECT_FALSE(parse_join_key(bad)) << bad;
}

TEST(Names, AKeyedDigestIsNotTheDigest) {
    Digest digest = sha256(view("file"));
    EXPECT_NE(keyed_digest(kJoin, digest), digest);
    EXPECT_EQ(keyed_digest(kJoin, digest), keyed_digest(kJoin, digest));
    EXPECT_NE(keyed_digest(Bytes(32, 0x12), digest), keyed_digest(kJoin, digest));
}

} // namespace
} // namespace tally
