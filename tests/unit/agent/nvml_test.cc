// nvml, with a library that has NVML's ABI and acts out a script (tests/tools/libnvidia-ml.c):
// opened and called as the real one would be.
#include "agent/clock.h"
#include "agent/identity/cgroups.h"
#include "agent/work/sources.h"
#include "tests/unit/agent/scratch.h"

#include <filesystem>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <thread>

namespace tally {
namespace {

namespace fs = std::filesystem;

constexpr const char *kUuid = "aa618089-8b16-4d01-a136-25a0f3c73123";
constexpr const char *kGone = "999999999"; // no process has this number
constexpr double kWithin = 0.15;           // seconds: samples are 0.1 s apart, here as on a GPU

class NvmlTest : public testing::Test {
protected:
    void SetUp() override {
        start_ms_ = read_clock(CLOCK_REALTIME) / 1'000'000;
        setenv("TALLY_NVML_SCRIPT", (scratch_ / "script").c_str(), 1);
    }
    static std::string library(const std::string &name = "libnvidia-ml.so.1") {
        return fs::read_symlink("/proc/self/exe").parent_path() / name;
    }
    // Whole or not at all: the library reads it at every call.
    void script(const std::string &facts) const {
        std::ofstream(scratch_ / "new") << "start " << start_ms_ << "\ngpu 0000:3b:00.0\n" << facts;
        fs::rename(scratch_ / "new", scratch_ / "script");
    }
    void make(const std::string &path = library()) { source_ = nvml_source(path); }
    void hold(uint64_t workload, uint32_t process, uint32_t device = 3) {
        held_.push_back({workload, process, 5, device, 0});
    }
    void look(uint64_t later_ns = 0) {
        source_->look({held_, devices_, read_clock(CLOCK_BOOTTIME) + later_ns});
        for (auto &[key, figures] : source_->take(read_clock(CLOCK_BOOTTIME) + later_ns)) {
            WorkFigures &sum = rows_[key];
            if (figures.busy_ns)
                sum.busy_ns = sum.busy_ns.value_or(0) + *figures.busy_ns;
            sum.active_seconds += figures.active_seconds;
            sum.memory_bytes = std::max(sum.memory_bytes, figures.memory_bytes);
            for (const auto &[what, count] : figures.counts)
                sum.counts[what] += count;
        }
    }
    // Looks, more often than the agent does, until so many ms after the script's start or until it
    // is so.
    bool look_until(
        uint64_t ms, const std::function<bool()> &so = [] { return false; }) {
        do {
            look();
            if (so())
                return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(150));
        } while (read_clock(CLOCK_REALTIME) / 1'000'000 < start_ms_ + ms);
        return so();
    }
    bool is_absent_for(const std::string &reason, uint64_t ms = 3000) {
        bool said =
            look_until(ms, [&] { return source_->absence().find(reason) != std::string::npos; });
        EXPECT_TRUE(said) << source_->absence();
        return said;
    }
    double busy(const WorkKey &key) const {
        auto row = rows_.find(key);
        return row == rows_.end() ? 0 : static_cast<double>(row->second.busy_ns.value_or(0)) / 1e9;
    }
    static bool is_loaded() {
        return slurp_text("/proc/self/maps").find("libnvidia-ml") != std::string::npos;
    }
    static std::string slurp_text(const std::string &path) {
        std::ifstream in(path);
        return {std::istreambuf_iterator<char>(in), {}};
    }

    Scratch scratch_;
    uint64_t start_ms_ = 0;
    std::map<uint32_t, Device> devices_{
        {3,
         {.id = "pci:0000:3b:00.0",
          .pci_addresses = {"0000:3b:00.0"},
          .pci_id = "10de:2330",
          .driver = "nvidia"}},
        {4,
         {.id = "mig:0000:3b:00.0/gi3/ci0",
          .kind = pb::Device::KIND_MIG_INSTANCE,
          .parent = "pci:0000:3b:00.0",
          .pci_id = "10de:2330"}},
        {5,
         {.id = std::string("mdev:") + kUuid,
          .kind = pb::Device::KIND_MEDIATED,
          .parent = "pci:0000:3b:00.0",
          .pci_id = "10de:2330"}},
        {6,
         {.id = "pci:0000:5e:00.0",
          .pci_addresses = {"0000:5e:00.0"},
          .pci_id = "10de:2330",
          .driver = "vfio-pci"}},
    };
    std::vector<wire_holding> held_;
    std::unique_ptr<WorkSource> source_;
    WorkRows rows_; // summed over all looks
};

TEST_F(NvmlTest, SamplesOfEachProcessBecomeItsWorkloadsTime) {
    script("400-2400 busy 111 50 0 0\n"
           "1000-2000 busy 222 30 10 0\n"
           "memory 111 1000\nmemory 112 500\n0-1500 memory 222 7000\n1500-9000 memory 222 3000\n");
    hold(7, 111);
    hold(7, 112);
    hold(8, 222);
    make();
    look_until(3200);
    EXPECT_EQ(source_->absence(), "");
    EXPECT_EQ(source_->grade(), pb::GRADE_SAMPLED);
    EXPECT_NEAR(busy({7, 3, "sm"}), 1.0, kWithin);
    EXPECT_NEAR(busy({8, 3, "sm"}), 0.3, kWithin);
    EXPECT_NEAR(busy({8, 3, "encoder"}), 0.1, kWithin);
    EXPECT_FALSE(rows_.contains({7, 3, "encoder"}));
    EXPECT_GE(rows_.at({7, 3, "sm"}).active_seconds, 2U);
    EXPECT_LE(rows_.at({7, 3, "sm"}).active_seconds, 4U);
    EXPECT_EQ(rows_.at({7, 3, ""}).memory_bytes, 1500U) << "what both had at once";
    EXPECT_EQ(rows_.at({8, 3, ""}).memory_bytes, 7000U) << "the most";
    EXPECT_FALSE(rows_.at({7, 3, ""}).busy_ns);
}

TEST_F(NvmlTest, TheLibraryIsOpenOnlyWhileADeviceIsHeldThatItKnows) {
    script("");
    make();
    look();
    hold(9, 900, 6); // passed to a guest whole
    hold(9, 900, 99);
    look_until(400);
    EXPECT_FALSE(is_loaded());
    hold(7, 111);
    EXPECT_TRUE(look_until(3000, is_loaded));
    held_.clear();
    EXPECT_TRUE(look_until(6000, [] { return !is_loaded(); }));
    hold(7, 111);
    EXPECT_TRUE(look_until(9000, is_loaded)) << "and again";
    source_.reset();
    EXPECT_FALSE(is_loaded());
}

TEST_F(NvmlTest, WhoHoldsNothingIsFoundByItsCgroup) {
    auto cgroups = Cgroups::open();
    if (!cgroups)
        GTEST_SKIP() << cgroups.error().message << ": needs root";
    auto path = unified_cgroup(slurp_text("/proc/self/cgroup"));
    auto own = path ? cgroups->id(*path) : Result<uint64_t>(path.error());
    ASSERT_TRUE(own) << own.error().message;
    script("busy " + std::to_string(getpid()) + " 40 0 0\n0-1000 busy " + kGone + " 20 0 0\n");
    hold(7, 111);
    make();
    look_until(2000);
    EXPECT_GT(busy({*own, 3, "sm"}), 0.4);
    EXPECT_GT(busy({0, 3, "sm"}), 0.05) << "nobody knows whose: the device's as a whole";
    EXPECT_FALSE(rows_.contains({7, 3, "sm"}));
}

TEST_F(NvmlTest, WhoIsGoneIsWhoWasSeenBefore) {
    script(std::string("busy ") + kGone + " 40 0 0\n");
    hold(7, 999999999);
    hold(8, 111);
    make();
    look_until(500);
    held_.erase(held_.begin());
    look_until(1500);
    EXPECT_GT(busy({7, 3, "sm"}), 0.3);
    EXPECT_FALSE(rows_.contains({0, 3, "sm"}));
}

TEST_F(NvmlTest, OnMigThereIsMemoryByInstanceAndNoTime) {
    script("mig\nbusy 111 90 0 0\nmemory 111 5000 3 0\nmemory 222 6000 4 0\n");
    hold(7, 111, 4);
    hold(8, 222, 3);
    make();
    look_until(700);
    EXPECT_EQ(rows_.at({7, 4, ""}).memory_bytes, 5000U);
    EXPECT_EQ(rows_.at({8, 3, ""}).memory_bytes, 6000U) << "an instance that is not known";
    for (const auto &[key, figures] : rows_)
        EXPECT_FALSE(figures.busy_ns);
    EXPECT_EQ(source_->absence(), "GPU 0000:3b:00.0: MIG is on: memory only, NVML tells no use by "
                                  "process there");
}

TEST_F(NvmlTest, AVirtualGpuIsItsMediatedDevicesHolders) {
    script(std::string("vgpu 17 ") + kUuid + " 45\nvgpu 18 00000000-unknown 5\n");
    hold(9, 900, 5);
    make();
    look_until(1500);
    EXPECT_NEAR(busy({9, 5, "sm"}), 0.6, 0.25);
    EXPECT_EQ(rows_.at({9, 5, ""}).memory_bytes, 1U << 30);
    EXPECT_GT(busy({0, 3, "sm"}), 0) << "of one that has no mediated device";
}

TEST_F(NvmlTest, WhatAnAccountSaysOfWhoHasEndedIsKeptBesideIt) {
    script("0-700 memory 111 5000\nended 111 40 5000\n");
    hold(7, 111);
    make();
    look_until(1500);
    EXPECT_EQ(rows_.at({7, 3, ""}).counts.at("accounted busy ms"), 2000U) << "once";
}

TEST_F(NvmlTest, ADriverThatGoesAwayIsSaidAndSoIsItsReturn) {
    script("busy 111 50 0 0\n"
           "800-2500 fail nvmlDeviceGetHandleByPciBusId_v2 9\n800-2500 fail nvmlInit_v2 9\n");
    hold(7, 111);
    make();
    look_until(700);
    EXPECT_EQ(source_->absence(), "");
    EXPECT_TRUE(is_absent_for("Driver Not Loaded"));
    EXPECT_TRUE(look_until(8000, [&] { return source_->absence().empty(); })) << source_->absence();
    double before = busy({7, 3, "sm"});
    look_until(read_clock(CLOCK_REALTIME) / 1'000'000 - start_ms_ + 1000);
    EXPECT_GT(busy({7, 3, "sm"}), before + 0.2);
}

TEST_F(NvmlTest, OneLostGpuDoesNotHideTheOthers) {
    script("busy 111 50 0 0\n");
    devices_[7] = devices_[3];
    devices_[7].pci_addresses = {"0000:af:00.0"}; // which the library has no more
    hold(7, 111);
    hold(7, 111, 7);
    make();
    EXPECT_TRUE(is_absent_for("GPU 0000:af:00.0: "));
    look_until(1500);
    EXPECT_GT(busy({7, 3, "sm"}), 0.3);
}

TEST_F(NvmlTest, ALibraryThatDoesNotFitItsDriverIsSaid) {
    script("fail nvmlInit_v2 18\n");
    hold(7, 111);
    make();
    EXPECT_TRUE(is_absent_for("nvmlInit_v2: Driver/library version mismatch (the driver was "
                              "replaced while in use: reload it, or reboot)"));
    EXPECT_FALSE(is_loaded()) << "or the driver's own would never be found";
}

TEST_F(NvmlTest, WhatIsNotPermittedIsSaidAndTheRestIsTold) {
    script("busy 111 50 0 0\nmemory 111 5000\nfail nvmlDeviceGetProcessesUtilizationInfo 4\n");
    hold(7, 111);
    make();
    EXPECT_TRUE(is_absent_for("GPU 0000:3b:00.0: use by process: Insufficient Permissions"));
    EXPECT_EQ(rows_.at({7, 3, ""}).memory_bytes, 5000U);
    EXPECT_FALSE(rows_.contains({7, 3, "sm"}));
    script("busy 111 50 0 0\nmemory 111 5000\n"
           "fail nvmlDeviceGetComputeRunningProcesses_v3 4\n");
    EXPECT_TRUE(is_absent_for("processes and their memory: Insufficient Permissions", 6000));
    EXPECT_GT(busy({7, 3, "sm"}), 0);
}

TEST_F(NvmlTest, GarbageIsCounted) {
    script("busy 111 50 0 0\nmemory 111 18446744073709551615\nmemory 0 4000\n"
           "raw 0 50 0\nraw 222 250 0\nraw 222 50 86400000\n");
    hold(7, 111);
    hold(8, 222);
    make();
    look_until(1500);
    EXPECT_GE(rows_.at({0, 3, ""}).counts.at("samples rejected"), 4U);
    EXPECT_GT(busy({7, 3, "sm"}), 0.3);
    EXPECT_FALSE(rows_.contains({8, 3, "sm"}));
    EXPECT_EQ(rows_.at({7, 3, ""}).memory_bytes, 0U) << "not available is no number";
}

TEST_F(NvmlTest, ACallThatHangsKeepsNobodyWaiting) {
    script("busy 111 50 0 0\nhang nvmlDeviceGetHandleByPciBusId_v2\n");
    hold(7, 111);
    make();
    look();
    std::this_thread::sleep_for(std::chrono::milliseconds(300)); // it has been called
    uint64_t before = read_clock(CLOCK_MONOTONIC);
    look(4 * kSecond);
    EXPECT_EQ(source_->absence(), "");
    look(6 * kSecond);
    EXPECT_EQ(source_->absence(), "libnvidia-ml has not answered for over 5 s");
    look(70 * kSecond);
    EXPECT_EQ(source_->absence(), "libnvidia-ml has not answered for over 60 s");
    EXPECT_LT(read_clock(CLOCK_MONOTONIC) - before, kSecond / 10);
    script("busy 111 50 0 0\n");
    EXPECT_TRUE(look_until(5000, [&] { return busy({7, 3, "sm"}) > 0.2; })) << source_->absence();
    EXPECT_EQ(source_->absence(), "");
}

TEST_F(NvmlTest, WhatHangsAtTheEndIsLeftBehind) {
    script("hang nvmlShutdown\n");
    hold(7, 111);
    make();
    EXPECT_TRUE(look_until(3000, is_loaded));
    held_.clear();
    look();
    uint64_t before = read_clock(CLOCK_MONOTONIC);
    source_.reset();
    EXPECT_LT(read_clock(CLOCK_MONOTONIC) - before, 2 * kSecond);
    script(""); // it goes on, and ends by itself
    for (int i = 0; i < 100 && is_loaded(); i++)
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_FALSE(is_loaded());
}

TEST_F(NvmlTest, WithoutALibraryThereIsAReason) {
    hold(7, 111);
    make(scratch_ / "libnvidia-ml.so.1");
    EXPECT_TRUE(is_absent_for("cannot open shared object file: No such file or directory"));
    make(library("libcuda.so.1"));
    EXPECT_TRUE(
        is_absent_for("libcuda.so.1 has no nvmlInit_v2: it is too old, or not NVIDIA's", 6000));
    EXPECT_TRUE(rows_.empty());
}

TEST_F(NvmlTest, AnOlderLibraryTellsWhatItCan) {
    script("busy 111 50 0 5\nmemory 111 5000\nmemory 222 6000\nmemory 333 7000\n");
    hold(7, 111);
    hold(8, 222);
    hold(9, 333);
    make(library("libnvidia-ml-old.so.1"));
    look_until(1500);
    EXPECT_EQ(source_->absence(), "");
    EXPECT_GT(busy({7, 3, "sm"}), 0.3);
    EXPECT_GT(busy({7, 3, "decoder"}), 0.02);
    EXPECT_EQ(rows_.at({7, 3, ""}).memory_bytes, 5000U);
    EXPECT_EQ(rows_.at({8, 3, ""}).memory_bytes, 6000U) << "entries of 32 bytes";
    EXPECT_EQ(rows_.at({9, 3, ""}).memory_bytes, 7000U);
}

TEST_F(NvmlTest, AGpuWithoutAnAddressHereIsWhatTheOperatorNamed) {
    script("busy 111 50 0 0\n");
    devices_ = {{1, {.id = "node:dxg", .configured = true}}};
    hold(7, 111, 1);
    make();
    look_until(1500);
    EXPECT_GT(busy({7, 1, "sm"}), 0.3);
}

} // namespace
} // namespace tally
