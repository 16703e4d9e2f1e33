// Text forms of bytes: one text per value, everything else refused.
#include "base/bytes.h"

#include <gtest/gtest.h>

namespace tally {
namespace {

TEST(Base64, Rfc4648Vectors) {
    const char *vectors[][2] = {{"", ""},
                                {"f", "Zg=="},
                                {"fo", "Zm8="},
                                {"foo", "Zm9v"},
                                {"foob", "Zm9vYg=="},
                                {"fooba", "Zm9vYmE="},
                                {"foobar", "Zm9vYmFy"}};
    for (const auto &[plain, encoded] : vectors) {
        EXPECT_EQ(to_base64(view(plain)), encoded);
        auto decoded = from_base64(encoded);
        ASSERT_TRUE(decoded) << encoded;
        EXPECT_EQ(text(*decoded), plain);
    }
}

TEST(Base64, OnlyTheOneFormIsTaken) {
    for (const char *bad : {"Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm8 ", "Zm_v",
                            "Zm9v\n", " Zm9v", "=Zm9", "Z=m9"})
        EXPECT_FALSE(from_base64(bad)) << bad;
}

TEST(Hex, OnlyLowerCasePairsAreTaken) {
    auto bytes = from_hex("00ff7a");
    ASSERT_TRUE(bytes);
    EXPECT_EQ(*bytes, (Bytes{0x00, 0xff, 0x7a}));
    EXPECT_EQ(to_hex(*bytes), "00ff7a");
    for (const char *bad : {"0", "0F", "zz", "0x", " 0"})
        EXPECT_FALSE(from_hex(bad)) << bad;
}

TEST(Decimal, OnlyPlainDigitsAreTaken) {
    EXPECT_EQ(*parse_decimal("0"), 0U);
    EXPECT_EQ(*parse_decimal("18446744073709551615"), UINT64_MAX);
    for (const char *bad : {"", "00", "01", "-1", "+1", " 1", "1 ", "1x", "18446744073709551616"})
        EXPECT_FALSE(parse_decimal(bad)) << bad;
}

TEST(BigEndian, RoundTrips) {
    Bytes out;
    put_be16(out, 0x0102);
    put_be32(out, 0x03040506);
    put_be64(out, 0x0708090a0b0c0d0e);
    EXPECT_EQ(to_hex(out), "0102030405060708090a0b0c0d0e");
    EXPECT_EQ(get_be16(out.data()), 0x0102);
    EXPECT_EQ(get_be32(out.data() + 2), 0x03040506U);
    EXPECT_EQ(get_be64(out.data() + 6), 0x0708090a0b0c0d0eU);
}

TEST(Printable, NothingReachesATerminalRaw) {
    EXPECT_EQ(printable("plain text"), "plain text");
    EXPECT_EQ(printable("a\nb\x1b[2J\xc3\xa9"), "a\\x0ab\\x1b[2J\\xc3\\xa9");
    EXPECT_EQ(printable("abcdef", 3), "abc...");
}

TEST(TakeUntil, TakesAndRemoves) {
    std::string_view rest = "a:b:";
    EXPECT_EQ(take_until(rest, ':'), "a");
    EXPECT_EQ(take_until(rest, ':'), "b");
    EXPECT_EQ(take_until(rest, ':'), "");
    EXPECT_TRUE(rest.empty());
}

} // namespace
} // namespace tally
