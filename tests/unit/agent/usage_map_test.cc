// Totals that the kernel goes on changing while they are read. Times are in seconds.
#include "agent/record/usage_map.h"

#include "bpf/wire.h"

#include <gtest/gtest.h>

namespace tally {
namespace {

constexpr uint64_t kAt = 1000 * kSecond; // the window ends
constexpr uint64_t kWindow = 10 * kSecond;

// An entry with `files` open that was held `held` seconds until kAt; a running sum while open.
wire_usage entry(double held, uint64_t releases, uint64_t files) {
    wire_usage raw = {};
    raw.held_ns = static_cast<uint64_t>(held * 1e9) - (files > 0 ? kAt : 0);
    raw.opens = releases + files;
    raw.releases = releases;
    raw.open_files = files;
    return raw;
}

TEST(Settle, WhatIsOpenCountsUntilTheWindowsEnd) {
    auto totals = settle(entry(4, 0, 1), {}, kWindow, kAt);
    ASSERT_TRUE(totals);
    EXPECT_EQ(totals->held_ns, 4 * kSecond);
    EXPECT_EQ(totals->open_files, 1U);
}

TEST(Settle, AHoldThatBeganAfterTheWindowIsNotNegative) {
    auto totals = settle(entry(-0.25, 0, 1), {}, kWindow, kAt);
    ASSERT_TRUE(totals);
    EXPECT_EQ(totals->held_ns, 0U);
}

// Else the next window would have held time and no file: a statement that breaks the rules.
TEST(Settle, AReleaseAfterTheWindowIsTheNextWindowsWithTheTimeUntilIt) {
    UsageTotals before{100 * kSecond, 3, 0, 2, 1};
    auto first = settle(entry(110.25, 3, 0), before, kWindow, kAt);
    ASSERT_TRUE(first);
    EXPECT_EQ(first->held_ns, 110 * kSecond);
    EXPECT_EQ(first->releases, 2U);
    EXPECT_EQ(first->open_files, 1U);
    auto second = settle(entry(110.25, 3, 0), *first, kWindow, kAt + kWindow);
    ASSERT_TRUE(second);
    EXPECT_EQ(second->held_ns, 110 * kSecond + kSecond / 4);
    EXPECT_EQ(second->releases, 3U);
    EXPECT_EQ(second->open_files, 0U);
}

TEST(Settle, AnEdgeThatIsSettledLateIsMadeUpForByWhatFollows) {
    UsageTotals before{100 * kSecond, 3, 0, 2, 1};
    auto first = settle(entry(98, 3, 0), before, kWindow, kAt); // it had ended two seconds earlier
    ASSERT_TRUE(first);
    EXPECT_EQ(first->held_ns, 100 * kSecond);
    auto second = settle(entry(103, 4, 0), *first, kWindow, kAt + kWindow);
    ASSERT_TRUE(second);
    EXPECT_EQ(second->held_ns, 103 * kSecond);
}

TEST(Settle, AnEntryCaughtHalfWayIsReadAgain) {
    wire_usage opening = entry(4, 0, 1);
    opening.held_ns += kAt; // the file is counted, its time is not yet subtracted
    EXPECT_FALSE(settle(opening, {}, kWindow, kAt));
    wire_usage releasing = entry(4, 1, 0);
    releasing.held_ns -= kAt;
    EXPECT_FALSE(settle(releasing, {}, kWindow, kAt));
}

} // namespace
} // namespace tally
