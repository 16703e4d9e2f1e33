// From NVML's percentages to time: what was busy since the reading before.
#include "agent/work/nvidia/nvml_reader.h"

#include <gtest/gtest.h>

namespace tally {
namespace {

constexpr uint64_t kSecondUs = 1'000'000;
constexpr uint64_t kSecondNs = 1'000'000'000;
constexpr uint64_t kNow = 1'700'000'000 * kSecondUs; // CLOCK_REALTIME
constexpr uint64_t kUp = 5000 * kSecondUs;           // CLOCK_BOOTTIME

NvmlUse use(uint32_t who, uint64_t wall_us, uint64_t sm, uint64_t encoder = 0) {
    return {who, wall_us, {sm, encoder}};
}

class NvmlSums : public testing::Test {
protected:
    // A reading so long after the mark.
    NvmlSum sum(const std::vector<NvmlUse> &uses, uint64_t after_us) {
        return sum_uses(uses, mark_, {kNow + after_us, kUp + after_us});
    }
    NvmlMark mark_{kNow, kUp};
};

TEST_F(NvmlSums, AnAverageTimesTheTimeSinceTheReadingBefore) {
    NvmlSum found = sum({use(7, kNow + kSecondUs, 60, 10), use(8, kNow + 900'000, 30)}, 1'100'000);
    EXPECT_EQ(found.busy.at(7)[0], 600'000'000U);
    EXPECT_EQ(found.busy.at(7)[1], 100'000'000U);
    EXPECT_EQ(found.busy.at(8)[0], 300'000'000U);
    EXPECT_EQ(found.rejected, 0U);
    EXPECT_EQ(mark_.since_us, kNow + kSecondUs) << "the next one asks from the newest sample on";
    found = sum({use(7, kNow + 2 * kSecondUs, 100)}, 2'050'000);
    EXPECT_EQ(found.busy.at(7)[0], kSecondNs) << "readings tile";
}

TEST_F(NvmlSums, WhatIsIdleAfterTheNewestSampleIsInTheAverageToo) {
    NvmlSum found = sum({use(7, kNow + 500'000, 25)}, 2'250'000);
    EXPECT_EQ(found.busy.at(7)[0], 500'000'000U);
}

TEST_F(NvmlSums, NobodyIsNoTime) {
    EXPECT_TRUE(sum({}, 5 * kSecondUs).busy.empty());
    EXPECT_EQ(mark_.since_us, kNow + 4 * kSecondUs) << "what comes late is asked for again";
    NvmlSum found = sum({use(7, kNow + 6 * kSecondUs, 50)}, 6 * kSecondUs);
    EXPECT_EQ(found.busy.at(7)[0], kSecondNs);
}

TEST_F(NvmlSums, SamplesAsTheyStandAreSharesOfTheTime) {
    NvmlSum found =
        sum({use(7, kNow + 400'000, 100), use(8, kNow + 700'000, 50), use(7, kNow + 900'000, 80)},
            900'000);
    EXPECT_EQ(found.busy.at(7)[0], 540'000'000U);
    EXPECT_EQ(found.busy.at(8)[0], 150'000'000U);
}

TEST_F(NvmlSums, WhatCannotBeIsCountedAndNotBelieved) {
    NvmlSum found = sum(
        {
            use(0, kNow + kSecondUs, 50),                     // nobody
            use(7, 0, 50),                                    // never
            use(7, kNow, 50),                                 // told already
            use(7, kNow + 3600 * kSecondUs, 50),              // not yet
            use(7, kNow + kSecondUs, 101),                    //
            use(7, kNow + kSecondUs, 1, 2'147'483'632),       // seen of driver 535
            use(9, ~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0}), //
            use(8, kNow + kSecondUs, 50),
        },
        kSecondUs);
    EXPECT_EQ(found.rejected, 7U);
    ASSERT_EQ(found.busy.size(), 1U);
    EXPECT_EQ(found.busy.at(8)[0], 500'000'000U);
    EXPECT_EQ(mark_.since_us, kNow + kSecondUs) << "not moved by a sample from nowhere";
}

TEST_F(NvmlSums, AnEngineIsNeverBusierThanTheTimeIsLong) {
    NvmlSum found = sum({use(7, kNow + kSecondUs, 100), use(8, kNow + kSecondUs, 60)}, kSecondUs);
    EXPECT_EQ(found.busy.at(7)[0], 625'000'000U);
    EXPECT_EQ(found.busy.at(8)[0], 375'000'000U);
}

TEST_F(NvmlSums, AfterALongSilenceOnlyTheRingsTimeCounts) {
    NvmlSum found = sum({use(7, kNow + 60 * kSecondUs, 100)}, 60 * kSecondUs);
    EXPECT_EQ(found.busy.at(7)[0], 10 * kSecondNs);
}

TEST_F(NvmlSums, ASetClockMakesNoTime) {
    uint64_t hour = 3600 * kSecondUs;
    NvmlSum found = sum_uses({use(7, kNow + hour, 100)}, mark_, {kNow + hour, kUp + kSecondUs});
    EXPECT_EQ(found.busy.at(7)[0], 2 * kSecondNs) << "a second has passed, and one of slack";
    found = sum_uses({use(7, kNow, 100)}, mark_, {kNow, kUp + 2 * kSecondUs});
    EXPECT_TRUE(found.busy.empty());
    EXPECT_EQ(found.rejected, 1U);
    found =
        sum_uses({use(7, kNow + kSecondUs, 100)}, mark_, {kNow + kSecondUs, kUp + 3 * kSecondUs});
    EXPECT_EQ(found.busy.at(7)[0], kSecondNs) << "by the clock as it is now";
}

} // namespace
} // namespace tally
