// The guard's judgements, each a function of what was read.
#include "agent/guard/clock_watch.h"
#include "agent/guard/drivers.h"
#include "agent/guard/tracer.h"
#include "agent/pulse.h"
#include "agent/statement/events.h"
#include "tests/unit/agent/scratch.h"

#include <gtest/gtest.h>

namespace tally {
namespace {

namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

TEST(ClockStep, OnlyAStepIsOne) {
    ClockOffset before{.ns = 1'000'000'000'000, .error_ns = 40, .suspended_ns = 0};
    ClockOffset after = before;
    EXPECT_FALSE(clock_step(before, after, false));
    after.ns += 900; // between two readings
    EXPECT_FALSE(clock_step(before, after, false));
    after.ns = before.ns + 5'000'000'000;
    EXPECT_EQ(clock_step(before, after, true), "by +5000000000 ns");
    after.ns = before.ns - 2000;
    EXPECT_EQ(clock_step(before, after, false), "by -2000 ns");
    after.error_ns = 100'000; // we were interrupted while reading
    EXPECT_FALSE(clock_step(before, after, false));
}

TEST(ClockStep, AClockThatWasSetBackBeforeWeLookedIsTold) {
    ClockOffset offset{.ns = 1, .error_ns = 40, .suspended_ns = 0};
    EXPECT_EQ(clock_step(offset, offset, true), "and set back, or by less than 1000 ns");
}

TEST(ClockStep, ResumingIsNone) {
    ClockOffset before{.ns = 1, .error_ns = 40, .suspended_ns = 0};
    ClockOffset after = before;
    after.suspended_ns = 30'000'000'000;
    EXPECT_FALSE(clock_step(before, after, true));
    after.ns += 1'000'000'000; // but a clock that was set too is told
    EXPECT_TRUE(clock_step(before, after, true));
}

TEST(ClockStep, ThisMachinesClocksStandStill) {
    ClockOffset first = read_clock_offset();
    for (int i = 0; i < 200; i++)
        EXPECT_FALSE(clock_step(first, read_clock_offset(), false));
}

TEST(Pulse, WhoWakesInTimeHadNoPause) {
    Pulse pulse;
    EXPECT_FALSE(pulse.rests(100 * kSecond, kSecond));
    EXPECT_FALSE(pulse.wakes(101 * kSecond));
    EXPECT_FALSE(pulse.rests(103 * kSecond, 10 * kSecond));
    EXPECT_FALSE(pulse.wakes(104 * kSecond)); // early: a descriptor was ready
    EXPECT_FALSE(pulse.rests(104 * kSecond, 10 * kSecond));
    EXPECT_FALSE(pulse.wakes(117 * kSecond)); // three seconds late
}

TEST(Pulse, APauseIsToldWithItsLength) {
    Pulse pulse;
    EXPECT_FALSE(pulse.rests(100 * kSecond, kSecond));
    auto slept = pulse.wakes(105 * kSecond + 70'000'000);
    ASSERT_TRUE(slept);
    EXPECT_TRUE(slept->starts_with("for 4.070 s more than it meant to sleep")) << *slept;
    auto worked = pulse.rests(109 * kSecond, kSecond);
    ASSERT_TRUE(worked);
    EXPECT_TRUE(worked->starts_with("for 3.930 s amid its work")) << *worked;
}

TEST(Tracer, IsFoundInTheKernelsWords) {
    EXPECT_EQ(tracer_in("Name:\ttallyd\nPid:\t7\nTracerPid:\t4711\nUid:\t0\n"), "4711");
    EXPECT_FALSE(tracer_in("Name:\ttallyd\nTracerPid:\t0\n"));
    EXPECT_FALSE(tracer_in("Name:\tTracerPid:\t5\n"));
    EXPECT_FALSE(tracer_in("TracerPid:\tx\n"));
    EXPECT_FALSE(tracer_in(""));
}

class DriverWatch : public testing::Test {
protected:
    DriverWatch() { fs::create_directories(device()); }
    std::string device() const { return scratch_.path() + "/bus/pci/devices/" + kAddress; }
    void bind(const std::string &driver) {
        fs::remove(device() + "/driver");
        if (!driver.empty())
            fs::create_symlink("../../../bus/pci/drivers/" + driver, device() + "/driver");
    }
    static Uevent uevent(const std::string &action, const std::string &driver) {
        return {.action = action, .subsystem = "pci", .driver = driver, .pci_address = kAddress};
    }

    static constexpr const char *kAddress = "0000:3b:00.0";
    Scratch scratch_;
    Lines told_;
    Drivers drivers_{[this](pb::Event::Kind kind, const std::string &detail) {
                         told_.push_back(event_line(kind, detail));
                     },
                     scratch_.path()};
};

TEST_F(DriverWatch, TheDriverItHasIsNoEvent) {
    bind("nvidia");
    drivers_.watch({kAddress});
    drivers_.look();
    drivers_.on_uevent(uevent("bind", "nvidia"));
    EXPECT_EQ(told_, Lines{});
    EXPECT_EQ(drivers_.driver_of(kAddress), "nvidia");
}

TEST_F(DriverWatch, WhatUeventsToldIsNotToldAgain) {
    bind("nvidia");
    drivers_.watch({kAddress});
    drivers_.on_uevent(uevent("unbind", ""));
    drivers_.on_uevent(uevent("bind", "vfio-pci"));
    bind("vfio-pci");
    drivers_.look();
    EXPECT_EQ(told_, (Lines{"driver unbound: 0000:3b:00.0 from nvidia",
                            "driver bound: 0000:3b:00.0 to vfio-pci"}));
}

TEST_F(DriverWatch, LostUeventsCostNothing) {
    bind("nvidia");
    drivers_.watch({kAddress});
    bind("vfio-pci");
    drivers_.look();
    EXPECT_EQ(told_, (Lines{"driver unbound: 0000:3b:00.0 from nvidia",
                            "driver bound: 0000:3b:00.0 to vfio-pci"}));
    bind("");
    drivers_.look();
    EXPECT_EQ(told_.back(), "driver unbound: 0000:3b:00.0 from vfio-pci");
}

TEST_F(DriverWatch, ADriverThatWasAwayForAMomentIsTold) {
    bind("nvidia");
    drivers_.watch({kAddress});
    drivers_.on_uevent(uevent("unbind", ""));
    drivers_.on_uevent(uevent("bind", "nvidia"));
    drivers_.look();
    EXPECT_EQ(told_, (Lines{"driver unbound: 0000:3b:00.0 from nvidia",
                            "driver bound: 0000:3b:00.0 to nvidia"}));
}

TEST_F(DriverWatch, OtherFunctionsAndSyntheticUeventsAreNot) {
    bind("nvidia");
    drivers_.watch({kAddress});
    Uevent other = uevent("unbind", "");
    other.pci_address = "0000:00:01.0";
    drivers_.on_uevent(other);
    Uevent synthetic = uevent("unbind", "");
    synthetic.synthetic = true;
    drivers_.on_uevent(synthetic);
    EXPECT_EQ(told_, Lines{});
}

class EventFold : public testing::Test {
protected:
    Lines lines() const {
        Lines lines;
        for (const pb::Event &event : events_.all())
            lines.push_back(event_line(event.kind(), event.detail()));
        return lines;
    }
    Events events_;
};

TEST_F(EventFold, WhatRepeatsIsCounted) {
    for (int i = 0; i < 17; i++)
        EXPECT_EQ(events_.note(pb::Event::KIND_CLOCK_SET, "by +1 ns", 5), i == 0);
    EXPECT_TRUE(events_.note(pb::Event::KIND_CLOCK_SET, "by +2 ns", 6));
    EXPECT_EQ(lines(), (Lines{"clock set: by +1 ns (17 times)", "clock set: by +2 ns"}));
    EXPECT_EQ(events_.all()[0].boottime_ns(), 5U);
    events_.clear();
    EXPECT_EQ(lines(), Lines{});
}

TEST_F(EventFold, AFloodOfOneKindLeavesRoomForTheOthers) {
    for (int i = 0; i < 1000; i++)
        events_.note(pb::Event::KIND_FOREIGN_BPF, "pid " + std::to_string(i), 7);
    events_.note(pb::Event::KIND_AGENT_TRACED, "by pid 3 (gdb)", 8);
    Lines said = lines();
    ASSERT_EQ(said.size(), Events::kMostOfAKind + 2);
    EXPECT_EQ(said[Events::kMostOfAKind], "agent traced: by pid 3 (gdb)");
    EXPECT_EQ(said.back(), "foreign bpf: 988 more of this kind");
}

TEST_F(EventFold, AFloodOfAllKindsStaysSmall) {
    for (int kind = 1; kind <= pb::Event::Kind_MAX; kind++) {
        for (int i = 0; i < 100; i++)
            events_.note(static_cast<pb::Event::Kind>(kind),
                         std::to_string(i) + std::string(1000, 'x'), 9);
    }
    size_t bytes = 0;
    for (const pb::Event &event : events_.all())
        bytes += event.ByteSizeLong();
    EXPECT_LE(events_.all().size(), Events::kMost + pb::Event::Kind_MAX);
    EXPECT_LT(bytes, 24'000U);
}

} // namespace
} // namespace tally
