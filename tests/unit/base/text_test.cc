#include "base/text.h"

#include <gtest/gtest.h>

namespace tally {

namespace {

constexpr uint64_t kMillisecond = 1'000'000;
constexpr uint64_t kSecond = 1000 * kMillisecond;

TEST(Text, DurationsAreInTheirOwnUnits) {
    EXPECT_EQ(duration(0), "0.000 s");
    EXPECT_EQ(duration(12'034 * kMillisecond), "12.034 s");
    EXPECT_EQ(duration(499'999), "0.000 s");
    EXPECT_EQ(duration(500'000), "0.001 s");
    EXPECT_EQ(duration(60 * kSecond - 1), "1 min 00 s");
    EXPECT_EQ(duration(250 * kSecond), "4 min 10 s");
    EXPECT_EQ(duration(3600 * kSecond - 1), "1 h 00 min 00 s");
    EXPECT_EQ(duration((3 * 3600 + 4 * 60 + 10) * kSecond), "3 h 04 min 10 s");
    EXPECT_EQ(duration(UINT64_MAX), "5124095 h 34 min 34 s");
}

TEST(Text, TimesAreUtc) {
    EXPECT_EQ(utc_time(0), "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(utc_time(1'000'000'000ULL * kSecond + 999'999'999), "2001-09-09T01:46:40.999Z");
    EXPECT_EQ(utc_time(UINT64_MAX), "2554-07-21T23:34:33.709Z");
}

TEST(Text, OnlyTheWholeIsAHundredPercent) {
    EXPECT_EQ(percent(0, 0), "100.00 %");
    EXPECT_EQ(percent(UINT64_MAX, 0), "100.00 %");
    EXPECT_EQ(percent(UINT64_MAX, 1), "99.99 %");
    EXPECT_EQ(percent(1, 2), "33.33 %");
    EXPECT_EQ(percent(0, 5), "0.00 %");
}

TEST(Text, SumsDoNotWrap) {
    uint64_t total = UINT64_MAX - 1;
    add_to(total, 5);
    EXPECT_EQ(total, UINT64_MAX);
}

TEST(Text, CsvFieldsAreQuotedWhereTheyMustBe) {
    EXPECT_EQ(csv_field("plain"), "plain");
    EXPECT_EQ(csv_field("a,b"), "\"a,b\"");
    EXPECT_EQ(csv_field("say \"so\""), "\"say \"\"so\"\"\"");
    EXPECT_EQ(csv_field("two\nlines"), "two\\x0alines");
}

TEST(Text, JsonStringsAreEscaped) {
    EXPECT_EQ(json_string("a \"b\" \\"), "\"a \\\"b\\\" \\\\\"");
    EXPECT_EQ(json_string("\n"), "\"\\\\x0a\"");
}

TEST(Text, TableColumnsAreAsWideAsTheirWidestCell) {
    Table table({Table::Align::kLeft, Table::Align::kRight, Table::Align::kLeft});
    table.add({"a", "1", "x"});
    table.add({"long", "100", ""});
    EXPECT_EQ(table.str(), "a       1  x\nlong  100\n");
}

} // namespace

} // namespace tally
