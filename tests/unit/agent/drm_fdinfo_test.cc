// The source drm_fdinfo over a tree of fdinfo files that changes as a driver's would.
#include "agent/clock.h"
#include "agent/work/sources.h"
#include "tests/unit/agent/scratch.h"

#include <random>

namespace tally {
namespace {

namespace fs = std::filesystem;

class DrmFdinfo : public testing::Test {
protected:
    DrmFdinfo() {
        devices_[3] = {.id = "pci:0000:03:00.0",
                       .pci_addresses = {"0000:03:00.0"},
                       .nodes = {{"/dev/dri/renderD128", 226, 128}}};
        devices_[4] = {.id = "pci:0000:04:00.0", .nodes = {{"/dev/nvidia0", 195, 0}}};
        source_ = drm_fdinfo_source(scratch_.path());
        look(1); // nothing is held yet
    }

    // A descriptor's fdinfo as it reads from now on.
    void print(uint32_t process, uint32_t fd, const std::string &lines,
               const std::string &pdev = "0000:03:00.0") {
        std::string directory = scratch_ / (std::to_string(process) + "/fdinfo");
        fs::create_directories(directory);
        spill(directory + "/" + std::to_string(fd),
              view("pos:\t0\ndrm-driver:\tamdgpu\ndrm-pdev:\t" + pdev + "\n" + lines));
    }
    void hold(uint64_t workload, uint32_t process, uint32_t fd, uint32_t device = 3) {
        held_.push_back(
            {.workload = workload, .process = process, .fd = fd, .device = device, .zero = 0});
    }
    void look(uint64_t second) { source_->look({held_, devices_, second * kSecond}); }
    // Busy milliseconds of a workload on an engine at the window's end.
    uint64_t busy_ms(const WorkRows &rows, uint64_t workload, const std::string &engine) {
        auto row = rows.find({workload, 3, engine});
        return row == rows.end() ? 0 : row->second.busy_ns.value_or(0) / 1'000'000;
    }

    Scratch scratch_;
    std::map<uint32_t, Device> devices_;
    std::vector<wire_holding> held_;
    std::unique_ptr<WorkSource> source_;
};

TEST_F(DrmFdinfo, GrowthIsBusyAndMemoryTheMostAtOnce) {
    hold(7, 100, 5);
    print(100, 5, "drm-client-id:\t9\ndrm-memory-vram:\t10 MiB\ndrm-engine-gfx:\t100000000 ns\n");
    look(2);
    print(100, 5, "drm-client-id:\t9\ndrm-memory-vram:\t30 MiB\ndrm-engine-gfx:\t500000000 ns\n");
    look(3);
    print(100, 5,
          "drm-client-id:\t9\ndrm-memory-vram:\t20 MiB\ndrm-engine-gfx:\t600000000 ns\n"
          "drm-engine-compute:\t50000000 ns\n");
    WorkRows rows = source_->take(4 * kSecond);
    EXPECT_EQ(busy_ms(rows, 7, "gfx"), 600U) << "opened since the look before: from zero";
    EXPECT_EQ(busy_ms(rows, 7, "compute"), 50U);
    EXPECT_EQ((rows[{7, 3, "gfx"}].active_seconds), 3U);
    EXPECT_EQ((rows[{7, 3, ""}].memory_bytes), 30U << 20);
    EXPECT_FALSE((rows[{7, 3, ""}].busy_ns)) << "memory is not timed";
    EXPECT_EQ(source_->absence(), "");
    rows = source_->take(5 * kSecond);
    EXPECT_EQ(busy_ms(rows, 7, "gfx"), 0U);
    EXPECT_EQ((rows[{7, 3, ""}].memory_bytes), 20U << 20);
}

TEST_F(DrmFdinfo, WhatWasDoneBeforeTheAgentCameIsNotCounted) {
    hold(7, 100, 5);
    print(100, 5, "drm-client-id:\t9\ndrm-engine-gfx:\t900000000000 ns\n");
    auto late = drm_fdinfo_source(scratch_.path());
    late->look({held_, devices_, 5 * kSecond});
    print(100, 5, "drm-client-id:\t9\ndrm-engine-gfx:\t900250000000 ns\n");
    EXPECT_EQ(busy_ms(late->take(6 * kSecond), 7, "gfx"), 250U);
}

TEST_F(DrmFdinfo, AClientThatComesBackIsNotCountedAnew) {
    hold(7, 100, 5);
    print(100, 5, "drm-client-id:\t9\ndrm-engine-gfx:\t400000000 ns\n");
    look(2);
    auto held = std::exchange(held_, {}); // in flight between two processes
    look(3);
    held_ = held;
    held_[0].workload = 8;
    look(4);
    WorkRows rows = source_->take(5 * kSecond);
    EXPECT_EQ(busy_ms(rows, 7, "gfx"), 400U);
    EXPECT_EQ(busy_ms(rows, 8, "gfx"), 0U);
}

TEST_F(DrmFdinfo, OneClientIsCountedOnceHoweverManyHaveIt) {
    hold(7, 100, 5);
    hold(7, 100, 6);
    hold(8, 200, 5);
    hold(8, 300, 3);
    for (auto [process, fd] : {std::pair(100U, 5U), {100U, 6U}, {200U, 5U}})
        print(process, fd, "drm-client-id:\t9\ndrm-memory-vram:\t1 MiB\ndrm-engine-gfx:\t1 ns\n");
    print(300, 3, "drm-client-id:\t10\ndrm-memory-vram:\t2 MiB\ndrm-engine-gfx:\t1 ns\n");
    look(2);
    for (auto [process, fd] : {std::pair(100U, 5U), {100U, 6U}, {200U, 5U}})
        print(process, fd, "drm-client-id:\t9\ndrm-engine-gfx:\t200000001 ns\n");
    look(3);
    WorkRows rows = source_->take(3 * kSecond);
    EXPECT_EQ(busy_ms(rows, 7, "gfx"), 200U);
    EXPECT_EQ(busy_ms(rows, 8, "gfx"), 0U);
    EXPECT_EQ((rows[{7, 3, ""}].memory_bytes), 1U << 20);
    EXPECT_EQ((rows[{8, 3, ""}].memory_bytes), 2U << 20);

    held_.erase(held_.begin(), held_.begin() + 2); // the first has let go of it
    print(200, 5, "drm-client-id:\t9\ndrm-engine-gfx:\t300000001 ns\n");
    look(4);
    EXPECT_EQ(busy_ms(source_->take(4 * kSecond), 8, "gfx"), 100U);
}

TEST_F(DrmFdinfo, ValuesThatStepBackStayWithTheGreatest) {
    hold(7, 100, 5);
    uint64_t second = 2;
    for (const char *ns : {"800000000", "300000000", "700000000", "900000000"}) {
        print(100, 5, "drm-client-id:\t9\ndrm-engine-gfx:\t" + std::string(ns) + " ns\n");
        look(second++);
    }
    EXPECT_EQ(busy_ms(source_->take(second * kSecond), 7, "gfx"), 900U);
}

TEST_F(DrmFdinfo, CyclesAreAShareOfTheirClock) {
    auto print_cycles = [&](uint64_t cycles, uint64_t total) {
        print(100, 5,
              "drm-client-id:\t9\ndrm-cycles-ccs:\t" + std::to_string(cycles) +
                  "\ndrm-total-cycles-ccs:\t" + std::to_string(total) +
                  "\ndrm-engine-capacity-ccs:\t4\n");
    };
    hold(7, 100, 5);
    print_cycles(5000, 1'000'000);
    look(2);
    print_cycles(24200, 20'200'000); // 19,200 of 19.2 million a second: a thousandth
    look(3);
    print_cycles(24200, 39'400'000);
    look(4);
    print_cycles(24200 + 57'600'000, 58'600'000); // told late: two seconds' worth, on several
    look(5);
    WorkRows rows = source_->take(5 * kSecond);
    EXPECT_EQ(busy_ms(rows, 7, "ccs"), 1U + 3000U) << "the clock has no zero: from first sight on";
    EXPECT_EQ((rows[{7, 3, "ccs"}].capacity), 4U);
    print_cycles(100, 200); // the clock went back, as by a reset
    look(6);
    print_cycles(9'600'100, 19'200'200);
    look(7);
    EXPECT_EQ(busy_ms(source_->take(7 * kSecond), 7, "ccs"), 500U);
}

TEST_F(DrmFdinfo, NothingIsBusierThanTime) {
    hold(7, 100, 5);
    print(100, 5, "drm-client-id:\t9\ndrm-engine-gfx:\t1 ns\n");
    look(2);
    print(100, 5,
          "drm-client-id:\t9\ndrm-engine-gfx:\t18446744073709551615 ns\n"
          "drm-engine-capacity-gfx:\t2\n");
    look(3);
    EXPECT_EQ(busy_ms(source_->take(3 * kSecond), 7, "gfx"), 2100U);
}

TEST_F(DrmFdinfo, AnotherFileUnderTheSameNumberIsNotTheDevices) {
    hold(7, 100, 5);
    hold(7, 101, 5, 4); // no DRM device: not even read
    print(100, 5, "drm-client-id:\t9\ndrm-engine-gfx:\t400000000 ns\n", "0000:05:00.0");
    print(101, 5, "drm-client-id:\t8\ndrm-engine-gfx:\t400000000 ns\n", "0000:04:00.0");
    look(2);
    EXPECT_TRUE(source_->take(3 * kSecond).empty());
}

TEST_F(DrmFdinfo, ADriverThatTellsNothingIsSaid) {
    hold(7, 100, 5);
    look(2); // the process is gone
    EXPECT_EQ(source_->absence(), "no driver of a held DRM device tells usage in fdinfo");
    fs::create_directories(scratch_ / "100/fdinfo");
    spill(scratch_ / "100/fdinfo/5", view(std::string(1U << 20, 'x')));
    look(3);
    EXPECT_NE(source_->absence().find("larger than"), std::string::npos) << source_->absence();
    held_.clear();
    look(4);
    EXPECT_EQ(source_->absence(), "");
}

TEST_F(DrmFdinfo, WhateverDriversPrintSumsStayWithinTime) {
    std::mt19937_64 random(7);
    for (uint32_t process : {100U, 200U, 300U})
        hold(process % 200, process, 5);
    std::map<WorkKey, uint64_t> busy, active;
    for (uint64_t second = 2; second < 400; second++) {
        for (uint32_t process : {100U, 200U, 300U}) {
            std::string lines = "drm-client-id:\t" + std::to_string(random() % 4) + "\n";
            for (const char *key : {"drm-engine-gfx:\t", "drm-cycles-gfx:\t",
                                    "drm-total-cycles-gfx:\t", "drm-engine-x:\t"}) {
                uint64_t value = random() >> random() % 64;
                bool timed = std::string_view(key).starts_with("drm-engine-");
                if (random() % 4 != 0)
                    lines += key + std::to_string(value) + (timed ? " ns\n" : "\n");
            }
            print(process, 5, lines);
        }
        look(second);
        if (random() % 8 != 0)
            continue;
        for (const auto &[key, figures] : source_->take(second * kSecond)) {
            busy[key] += figures.busy_ns.value_or(0);
            active[key] += figures.active_seconds;
            // Each of four clients has its own time, and may be told of a little late.
            EXPECT_LE(busy[key], 4 * second * kSecond * 21 / 20);
            EXPECT_LE(active[key], second);
        }
    }
    EXPECT_GT(busy.size(), 4U);
}

} // namespace
} // namespace tally
