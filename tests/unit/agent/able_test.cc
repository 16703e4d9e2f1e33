// nvidia_rm and kfd: whose time they tell, and of what they say that they see nothing. The hooks
// are real, on this kernel's system calls; what drivers answer is for
// tests/system/channels_test.cc.
#include "agent/clock.h"
#include "agent/inventory/amd.h"
#include "agent/work/sources.h"
#include "tests/unit/agent/scratch.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

namespace tally {
namespace {

constexpr uint32_t kGpu = 3, kInstance = 4, kOther = 5, kGuests = 6, kAmd = 7, kKfd = 8;
constexpr uint64_t kStart = 100 * kSecond;

class Able : public testing::Test {
protected:
    Able() {
        std::filesystem::create_directories(scratch_ / "proc");
        for (pid_t process : {getpid(), getppid()})
            std::filesystem::create_directory((scratch_ / "proc/") + std::to_string(process));
        std::ofstream(scratch_ / "proc/devices")
            << "Character devices:\n195 nvidia\n195 nvidiactl\n241 kfd\n\nBlock devices:\n";
        devices_[kGpu] = {.id = "pci:0000:01:00.0", .driver = "nvidia", .driver_version = "570.86"};
        devices_[kInstance] = {.id = "mig:0000:01:00.0/gi1/ci0",
                               .kind = pb::Device::KIND_MIG_INSTANCE,
                               .parent = "pci:0000:01:00.0",
                               .pci_id = "10de:2330"};
        devices_[kOther] = {.id = "node:by-number", .nodes = {{"/dev/nvidia1", 195, 1}}};
        devices_[kGuests] = {.id = "pci:0000:02:00.0", .pci_id = "10de:2330", .driver = "vfio-pci"};
        devices_[kAmd] = {.id = "pci:0000:03:00.0",
                          .driver = "amdgpu",
                          .nodes = {{"/dev/dri/renderD129", 226, 129}}};
        devices_[kKfd] = {
            .id = "kfd", .kind = pb::Device::KIND_SHARED, .nodes = {{"/dev/kfd", 241, 0}}};
    }

    DeviceRoots roots() { return {scratch_ / "sys", scratch_ / "proc"}; }
    void hold(uint64_t workload, pid_t process, uint32_t device) {
        held_.push_back({.workload = workload,
                         .process = static_cast<uint32_t>(process),
                         .fd = 9,
                         .device = device,
                         .zero = 0});
    }
    void look(WorkSource &source, uint64_t seconds, pb::Rung rung = pb::RUNG_TRACED) {
        source.look({held_, devices_, kStart + seconds * kSecond, rung});
    }
    static WorkRows take(WorkSource &source, uint64_t seconds) {
        WorkRows rows = source.take(kStart + seconds * kSecond);
        std::erase_if(rows, [](const auto &row) { return row.second.counts.empty(); });
        return rows;
    }
    static std::map<std::string, uint64_t> counts(const WorkRows &rows, const WorkKey &key) {
        auto row = rows.find(key);
        return row == rows.end() ? std::map<std::string, uint64_t>{} : row->second.counts;
    }
    using Counts = std::map<std::string, uint64_t>;

    Scratch scratch_;
    std::map<uint32_t, Device> devices_;
    std::vector<wire_holding> held_;
};

TEST_F(Able, WhoHeldBeforeTheHooksMayHaveHadChannelsAndWhoCameLaterHasNone) {
    auto source = nvidia_rm_source(roots());
    look(*source, 0);
    EXPECT_EQ(source->absence(), "");
    EXPECT_TRUE(take(*source, 1).empty()) << "nothing is held";
    hold(20, getpid(), kGpu);
    look(*source, 2);
    ASSERT_EQ(source->absence(), "");
    WorkRows rows = take(*source, 5);
    EXPECT_EQ(rows.size(), 1U);
    EXPECT_EQ(counts(rows, {20, kGpu, ""}), (Counts{{"process-seconds unknown channels", 3}}));

    hold(21, getppid(), kOther);
    look(*source, 6);
    held_.pop_back();
    look(*source, 8); // it let go
    rows = take(*source, 9);
    EXPECT_EQ(counts(rows, {20, kGpu, ""}), (Counts{{"process-seconds unknown channels", 4}}));
    EXPECT_EQ(counts(rows, {21, kOther, ""}), (Counts{{"process-seconds without channels", 2}}));

    held_.clear();
    look(*source, 10);
    EXPECT_EQ(counts(take(*source, 11), {20, kGpu, ""}),
              (Counts{{"process-seconds unknown channels", 1}}));
    EXPECT_TRUE(take(*source, 12).empty());
}

TEST_F(Able, ARowNamesTheOnlyDeviceThatAProcessHolds) {
    auto source = nvidia_rm_source(roots());
    hold(20, getpid(), kGpu); // the way to its instance
    hold(20, getpid(), kInstance);
    hold(21, getppid(), kGpu);
    hold(21, getppid(), kOther);
    look(*source, 0);
    WorkRows rows = take(*source, 2);
    EXPECT_EQ(rows.size(), 2U);
    EXPECT_TRUE(rows.contains({20, kInstance, ""}));
    EXPECT_TRUE(rows.contains({21, std::nullopt, ""}));
}

TEST_F(Able, OnlyWhoCanAskTheDriverIsTold) {
    auto rm = nvidia_rm_source(roots());
    auto kfd = kfd_source(roots());
    hold(20, getpid(), kGuests); // its guest has a resource manager of its own
    hold(21, getppid(), kAmd);   // works through DRM
    for (WorkSource *source : {rm.get(), kfd.get()}) {
        look(*source, 0);
        EXPECT_TRUE(take(*source, 2).empty());
    }
    hold(21, getppid(), kKfd);
    hold(22, 1 << 30, kKfd); // no such process
    look(*kfd, 3);
    ASSERT_EQ(kfd->absence(), "");
    WorkRows rows = take(*kfd, 5);
    EXPECT_EQ(rows.size(), 1U);
    EXPECT_EQ(counts(rows, {21, kAmd, ""}), (Counts{{"process-seconds unknown queues", 2}}));
}

TEST_F(Able, WhatCannotBeReadIsSaidAndNotHooked) {
    auto scanned = nvidia_rm_source(roots());
    hold(20, getpid(), kGpu);
    look(*scanned, 0, pb::RUNG_SCANNED);
    EXPECT_EQ(scanned->absence(),
              "rung scanned: no hook on ioctl but one that slows every system call of the machine");
    EXPECT_TRUE(take(*scanned, 2).empty());

    auto old = nvidia_rm_source(roots());
    devices_[kGpu].driver_version = "525.147.05";
    look(*old, 0);
    EXPECT_EQ(old->absence(),
              "driver 525.147.05: its requests are laid out otherwise than since 535");
    EXPECT_TRUE(take(*old, 2).empty());
    devices_[kGpu].driver_version = "535.54.03"; // another was loaded
    look(*old, 3);
    EXPECT_EQ(old->absence(), "");
    EXPECT_EQ(take(*old, 5).size(), 1U);
}

TEST_F(Able, KfdsNumberOfAGpuLeadsToItsDevice) {
    auto node = [&](const std::string &name, const std::string &properties, const char *gpu_id) {
        std::filesystem::path directory = (scratch_ / "sys/class/kfd/kfd/topology/nodes/") + name;
        std::filesystem::create_directories(directory);
        std::ofstream(directory / "properties") << properties;
        std::ofstream(directory / "gpu_id") << gpu_id << "\n";
    };
    node("0", "simd_count 0\n", "0");
    node("1", "simd_count 1216\ndrm_render_minor 128\n", "22683");
    node("2", "simd_count 1216\ndrm_render_minor 129\n", "40661");
    EXPECT_EQ(devices_by_gpu_id(kfd_nodes(roots()), devices_),
              (std::map<uint32_t, uint32_t>{{40661, kAmd}}));
}

} // namespace
} // namespace tally
