// Conservation by hand: what of a window's rows balances, and what does not. Times are in seconds.
#include "attest/balance.h"

#include <gtest/gtest.h>

namespace tally {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kJustTolerated = kCountedTogetherNs;

class Balance : public testing::Test {
protected:
    Balance() {
        part_.set_parts(1);
        part_.set_boot_id("b");
        part_.mutable_window()->set_begin_boottime_ns(100 * kSecond);
        part_.mutable_window()->set_end_boottime_ns(110 * kSecond);
        part_.mutable_recording()->set_tells_occupancy(true);
    }
    void hold(uint64_t ns, uint32_t device = 0) {
        pb::Usage &usage = *part_.add_usage();
        usage.set_device(device);
        usage.set_held_ns(ns);
    }
    void occupy(uint64_t ns, uint64_t late_ns = 0, uint32_t device = 0) {
        pb::Occupancy &row = *part_.add_occupancy();
        row.set_device(device);
        row.set_occupied_ns(ns);
        row.set_late_ns(late_ns);
    }
    std::vector<std::string> imbalances() {
        WindowBalance balance;
        EXPECT_TRUE(balance.add(part_));
        std::vector<std::string> lines;
        for (const Imbalance &imbalance : balance.imbalances())
            lines.push_back(std::to_string(imbalance.device) + ": " + imbalance.what);
        return lines;
    }
    using Lines = std::vector<std::string>;

    pb::Statement part_;
};

TEST_F(Balance, OneHolderIsTheOccupancy) {
    hold(4 * kSecond);
    occupy(4 * kSecond);
    EXPECT_EQ(imbalances(), Lines{});
}

TEST_F(Balance, SeveralHoldersOverlapOrDoNot) {
    hold(4 * kSecond);
    hold(5 * kSecond);
    for (uint64_t occupied : {5, 7, 9}) {
        part_.clear_occupancy();
        occupy(occupied * kSecond);
        EXPECT_EQ(imbalances(), Lines{}) << occupied;
    }
}

TEST_F(Balance, NobodyHoldsLongerThanItWasOccupied) {
    hold(4 * kSecond);
    occupy(4 * kSecond - kJustTolerated);
    EXPECT_EQ(imbalances(), Lines{});
    part_.mutable_occupancy(0)->set_occupied_ns(4 * kSecond - kJustTolerated - 1);
    EXPECT_EQ(imbalances(), Lines{"0: occupied for 3.900 s, but held by one workload for 4.000 s"});
    part_.clear_occupancy();
    EXPECT_EQ(imbalances(), Lines{"0: occupied for 0.000 s, but held by one workload for 4.000 s"});
}

TEST_F(Balance, AHolderThatIsNotNamedShows) {
    hold(4 * kSecond);
    occupy(9 * kSecond);
    occupy(2 * kSecond, 0, 1);
    EXPECT_EQ(imbalances(),
              (Lines{"0: occupied for 9.000 s, but held by all that are named for 4.000 s",
                     "1: occupied for 2.000 s, but held by nobody"}));
}

TEST_F(Balance, WhatIsLearntLateIsAllowedFor) {
    hold(4 * kSecond);
    hold(5 * kSecond);
    occupy(10 * kSecond, kSecond - kJustTolerated);
    EXPECT_EQ(imbalances(), Lines{});
    part_.mutable_occupancy(0)->set_late_ns(kSecond - kJustTolerated - 1);
    EXPECT_EQ(imbalances().size(), 1U);
}

TEST_F(Balance, WhatIsReadLateIsAllowedForAtBothEnds) {
    hold(4 * kSecond);
    occupy(7 * kSecond - kJustTolerated);
    EXPECT_EQ(imbalances(), Lines{"0: occupied for 6.900 s, but held by all that are named for "
                                  "4.000 s"});
    part_.mutable_recording()->set_reading_ns(kSecond);
    part_.mutable_recording()->set_begin_reading_ns(kSecond / 2);
    EXPECT_EQ(imbalances(), Lines{});
}

TEST_F(Balance, WhatIsNotMeasuredIsNotJudged) {
    hold(4 * kSecond);
    hold(5 * kSecond);
    part_.mutable_recording()->set_tells_occupancy(false);
    EXPECT_EQ(imbalances(), Lines{});
}

TEST_F(Balance, HostileFiguresDoNotWrapAround) {
    hold(UINT64_MAX);
    hold(UINT64_MAX);
    occupy(UINT64_MAX, UINT64_MAX);
    part_.mutable_recording()->set_reading_ns(UINT64_MAX);
    part_.mutable_recording()->set_begin_reading_ns(UINT64_MAX);
    EXPECT_EQ(imbalances(), Lines{});
    part_.mutable_recording()->clear_reading_ns();
    part_.mutable_recording()->clear_begin_reading_ns();
    part_.mutable_occupancy(0)->set_occupied_ns(1);
    EXPECT_EQ(imbalances().size(), 1U);
}

TEST_F(Balance, PartsOfAWindowBalanceTogether) {
    part_.set_parts(3);
    WindowBalance balance;
    occupy(9 * kSecond);
    EXPECT_FALSE(balance.add(part_));
    pb::Statement first = part_;
    part_.clear_occupancy();
    part_.set_part(1);
    hold(4 * kSecond);
    EXPECT_FALSE(balance.add(part_));
    pb::Statement second = part_;
    part_.set_part(2);
    part_.mutable_usage(0)->set_held_ns(5 * kSecond);
    EXPECT_TRUE(balance.add(part_));
    EXPECT_TRUE(balance.imbalances().empty());
    EXPECT_EQ(balance.devices().at(0).rows, 2U);

    // A hole, another window's part, or another boot's: not a whole window.
    EXPECT_FALSE(balance.add(first));
    EXPECT_FALSE(balance.add(part_));
    EXPECT_FALSE(balance.add(first));
    EXPECT_FALSE(balance.add(second));
    part_.mutable_window()->set_begin_boottime_ns(99 * kSecond);
    EXPECT_FALSE(balance.add(part_));
    part_.mutable_window()->set_begin_boottime_ns(100 * kSecond);
    EXPECT_FALSE(balance.add(part_));
    EXPECT_FALSE(balance.add(first));
    EXPECT_FALSE(balance.add(second));
    part_.set_boot_id("c");
    EXPECT_FALSE(balance.add(part_));
}

} // namespace
} // namespace tally
