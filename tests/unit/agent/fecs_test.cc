// The fecs source from end to end against a scripted resource manager: every call a real one,
// answered as the headers of NVIDIA's open kernel modules say. Structures as documented, not
// recorded from hardware: nothing here shows that a GPU's driver does the same.
#include "agent/work/nvidia/rm_client.h"
#include "agent/work/sources.h"
#include "agent/work/works.h"
#include "tests/unit/agent/scratch.h"
#include "tests/unit/agent/scripted_rm.h"

#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/fsuid.h>
#include <thread>

namespace tally {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kGpuBegin = 1'764'000'000'000'000'000;
constexpr uint8_t kStart = 6, kEnd = 7;
constexpr const char *kRelease = "570.195.03";

class Fecs : public testing::Test {
protected:
    Fecs() {
        fs::create_directories(dev_);
        rm_ = std::make_unique<ScriptedRm>(kRelease, dev_);
        rm_->set_time(kGpuBegin);
        devices_[3] = {.id = "pci:0000:01:00.0",
                       .pci_addresses = {"0000:01:00.0"},
                       .pci_id = "10de:2330",
                       .driver = "nvidia",
                       .driver_version = kRelease};
        hold(7, 100, 3);
        hold(8, 200, 3);
    }
    void hold(uint64_t workload, uint32_t process, uint32_t device) {
        holdings_.push_back(
            {.workload = workload, .process = process, .fd = 5, .device = device, .zero = 0});
    }
    void divide() {
        devices_[3].instances = 2;
        for (uint32_t gi : {1, 2})
            devices_[3 + gi] = {.id = "mig:0000:01:00.0/gi" + std::to_string(gi) + "/ci0",
                                .kind = pb::Device::KIND_MIG_INSTANCE,
                                .parent = "pci:0000:01:00.0",
                                .pci_id = "10de:2330",
                                .instances = 2};
    }
    void nudge() { source_->look({holdings_, devices_, boottime_}); }
    void look() {
        boottime_ += kSecond;
        nudge();
    }
    bool wait_for(const std::function<bool()> &what) {
        for (int i = 0; i < 500; i++) {
            nudge();
            if (what())
                return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        return false;
    }
    // A second later, with all that was logged before: what the driver was asked for is handed over
    // when it is asked again.
    void read() {
        uint64_t before = rm_->fetches();
        look();
        EXPECT_TRUE(wait_for([&] { return rm_->fetches() >= before + 2; })) << source_->absence();
        nudge();
    }
    std::string absence() {
        look();
        wait_for([&] { return !source_->absence().empty(); });
        return source_->absence();
    }
    // All at once, as the driver sees it.
    void meanwhile(const std::function<void()> &body) {
        rm_->hang(true);
        body();
        rm_->hang(false);
    }
    void run(const std::function<void()> &body) {
        bool ran = rm_->run([&] {
            source_ = fecs_source(dev_, proc_);
            body();
            source_.reset();
        });
        ASSERT_TRUE(ran) << "seccomp with user notification, Linux 5.0";
        EXPECT_EQ(rm_->complaints(), std::vector<std::string>());
        EXPECT_EQ(rm_->objects(), std::set<uint32_t>()) << "all is freed";
    }
    WorkRows take() { return source_->take(boottime_); }

    Scratch scratch_;
    std::string dev_ = scratch_ / "dev", proc_ = scratch_ / "proc";
    std::unique_ptr<ScriptedRm> rm_;
    std::unique_ptr<WorkSource> source_;
    std::map<uint32_t, Device> devices_;
    std::vector<wire_holding> holdings_;
    uint64_t boottime_ = 100 * kSecond;
};

TEST_F(Fecs, EachWorkloadHasItsTimeOnTheEngine) {
    run([&] {
        read();
        ASSERT_EQ(source_->absence(), "");
        EXPECT_EQ(rm_->objects(), (std::set<uint32_t>{0x41, 0x80, 0x2080, 0x90cd, 0x90ce}));
        EXPECT_TRUE(take().empty()) << "nothing was logged yet";
        meanwhile([&] {
            for (uint64_t turn = 0; turn < 10; turn++) {
                uint64_t at = kGpuBegin + turn * 10'000'000;
                rm_->log(kStart, 100, at);
                rm_->log(kEnd, 100, at + 3'000'000);
                rm_->log(kStart, 200, at + 3'100'000);
                rm_->log(kEnd, 200, at + 9'000'001);
            }
            rm_->log(kStart, UINT32_MAX, kGpuBegin + 100'000'000); // the kernel's own
            rm_->log(kEnd, UINT32_MAX, kGpuBegin + 100'000'500);
            rm_->set_time(kGpuBegin + kSecond);
        });
        read();
        WorkRows rows = take();
        ASSERT_EQ(rows.size(), 3U);
        WorkFigures first = rows[{7, 3, "gr"}], second = rows[{8, 3, "gr"}];
        EXPECT_EQ(first.busy_ns, 30'000'000U);
        EXPECT_EQ(second.busy_ns, 59'000'010U);
        EXPECT_EQ(first.counts["switches"], 10U);
        EXPECT_EQ(first.active_seconds, 1U);
        EXPECT_EQ(first.capacity, 1U);
        EXPECT_EQ((rows[{0, 3, "gr"}].busy_ns), 500U) << "nobody's";
        EXPECT_FALSE((rows[{0, 3, "gr"}].counts.contains("records dropped")));
    });
}

TEST_F(Fecs, ARunOverManyWindowsAddsUp) {
    run([&] {
        read();
        rm_->log(kStart, 100, kGpuBegin + 5);
        uint64_t sum = 0;
        for (uint64_t second : {1, 2, 3}) {
            rm_->set_time(kGpuBegin + second * kSecond / 2);
            read();
            sum += take()[{7, 3, "gr"}].busy_ns.value_or(0);
        }
        EXPECT_EQ(sum, 3 * kSecond / 2 - 5);
        rm_->log(kEnd, 100, kGpuBegin + 3 * kSecond / 2 + 77);
        rm_->set_time(kGpuBegin + 2 * kSecond);
        read();
        sum += take()[{7, 3, "gr"}].busy_ns.value_or(0);
        EXPECT_EQ(sum, 3 * kSecond / 2 + 72);
    });
}

TEST_F(Fecs, WhatDoesNotFitIntoAWindowIsOfTheNext) {
    run([&] {
        read();
        take();
        rm_->log(kStart, 100, kGpuBegin);
        rm_->set_time(kGpuBegin + 5 * kSecond); // the reader came late
        read();
        WorkRows rows = take();
        EXPECT_EQ((rows[{7, 3, "gr"}].busy_ns), kSecond) << "since the last";
        boottime_ += 10 * kSecond;
        EXPECT_EQ((take()[{7, 3, "gr"}].busy_ns), 4 * kSecond);
    });
}

TEST_F(Fecs, OnADividedGpuEachInstanceIsADevice) {
    divide();
    holdings_.clear();
    hold(7, 100, 4);
    hold(8, 200, 5);
    run([&] {
        read();
        ASSERT_EQ(source_->absence(), "");
        EXPECT_TRUE(rm_->objects().contains(0xc637)) << "all instances, not one";
        meanwhile([&] {
            rm_->log(kStart, 100, kGpuBegin, 1, 0);
            rm_->log(kStart, 200, kGpuBegin + 10, 2, 0);
            rm_->log(kEnd, 100, kGpuBegin + 1000, 1, 0);
            rm_->log(kEnd, 200, kGpuBegin + 1000, 2, 0);
            rm_->log(kStart, 100, kGpuBegin + 1000, 9, 0); // an instance that the inventory lacks
            rm_->log(kEnd, 100, kGpuBegin + 1001, 9, 0);
            rm_->set_time(kGpuBegin + kSecond);
        });
        read();
        WorkRows rows = take();
        EXPECT_EQ((rows[{7, 4, "gr"}].busy_ns), 1000U);
        EXPECT_EQ((rows[{8, 5, "gr"}].busy_ns), 990U);
        EXPECT_EQ((rows[{7, 3, "gr"}].busy_ns), 1U);
        EXPECT_EQ((rows[{7, 3, "gr"}].capacity), 2U);
        EXPECT_EQ((rows[{7, 4, "gr"}].capacity), 1U);
    });
}

TEST_F(Fecs, WhatWasLostIsSaidOfTheDevice) {
    run([&] {
        read();
        meanwhile([&] {
            for (uint64_t i = 0; i < 20'000; i++) { // more than there is room for
                rm_->log(kStart, 100, kGpuBegin + i * 10);
                rm_->log(kEnd, 100, kGpuBegin + i * 10 + 5);
            }
            rm_->set_time(kGpuBegin + 200'000);
        });
        read();
        WorkRows rows = take();
        EXPECT_EQ((rows[{0, 3, "gr"}].counts["records dropped"]), 40'000U - 32'767);
        EXPECT_FALSE((rows[{0, 3, "gr"}].busy_ns));
        EXPECT_EQ((rows[{7, 3, "gr"}].counts["switches"]), 16'384U);
        meanwhile([&] {
            rm_->log(kStart, 200, kGpuBegin + 300'000);
            rm_->set_time(kGpuBegin + 300'001);
        });
        read();
        rows = take();
        EXPECT_EQ((rows[{0, 3, "gr"}].counts["records dropped"]), 0U) << "told before";
        EXPECT_EQ((rows[{0, 3, "gr"}].counts["runs uncertain"]), 1U);
    });
}

TEST_F(Fecs, ItLetsGoWhenNobodyElseHoldsOne) {
    run([&] {
        read();
        rm_->log(kStart, 100, kGpuBegin);
        rm_->log(kEnd, 100, kGpuBegin + 123);
        rm_->set_time(kGpuBegin + kSecond);
        holdings_.clear();
        hold(1, static_cast<uint32_t>(getpid()), 3); // our own
        look();
        for (int i = 0; i < 100 && !rm_->objects().empty(); i++)
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        EXPECT_TRUE(rm_->objects().empty());
        for (const auto &fd : fs::directory_iterator("/proc/self/fd")) {
            std::error_code none;
            EXPECT_FALSE(fs::read_symlink(fd.path(), none).string().starts_with(dev_));
        }
        EXPECT_EQ((take()[{7, 3, "gr"}].busy_ns), 123U) << "the last of it";
        hold(7, 100, 3);
        read();
        EXPECT_EQ(source_->absence(), "");
        EXPECT_FALSE(rm_->objects().empty()) << "and begins again";
    });
}

TEST_F(Fecs, ARefusalIsAReason) {
    rm_->refuse(0x20801238, 0x56, 4);
    run([&] {
        EXPECT_EQ(absence(),
                  "unproven on hardware; 0000:01:00.0: NVIDIA's driver does not log context "
                  "switches: status 0x56, it wants an administrator (CAP_SYS_ADMIN)");
        uint64_t calls = rm_->calls();
        look();
        look();
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        EXPECT_EQ(rm_->calls(), calls) << "and is not asked for every second";
    });
}

TEST_F(Fecs, ARefusedSubscriptionOfADividedGpuIsAReason) {
    divide();
    rm_->refuse(0xc637, 0x40);
    run([&] {
        EXPECT_EQ(absence(),
                  "unproven on hardware; 0000:01:00.0: NVIDIA's driver does not let all instances "
                  "of a divided GPU be profiled: status 0x40");
    });
}

TEST_F(Fecs, ADriverThatBreaksDownIsLetGoOf) {
    run([&] {
        read();
        rm_->log(kStart, 100, kGpuBegin);
        rm_->refuse(0x90cd0104, 0x0f);
        EXPECT_EQ(absence(), "unproven on hardware; 0000:01:00.0: NVIDIA's driver does not "
                             "fetch its context-switch log: status 0x0f");
        EXPECT_EQ(rm_->objects(), std::set<uint32_t>{0x41});
    });
}

TEST_F(Fecs, ADriverThatHangsHoldsNobodyUp) {
    run([&] {
        read();
        rm_->hang(true);
        auto begin = std::chrono::steady_clock::now();
        for (int i = 0; i < 8; i++)
            look();
        take();
        EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
        EXPECT_EQ(source_->absence(),
                  "unproven on hardware; NVIDIA's driver has not answered for over 5 s");
        rm_->hang(false);
        read();
        EXPECT_EQ(source_->absence(), "");
    });
}

TEST_F(Fecs, AnotherReleaseIsNotEvenOpened) {
    for (const char *release :
         {"535.183.06", "560.28.02", "590.48.02", "595.45.04", "", "570", "x"}) {
        devices_[3].driver_version = release;
        fs::remove(dev_ + "/nvidiactl"); // to open it would be another reason
        run([&] {
            EXPECT_TRUE(absence().starts_with(
                "unproven on hardware; NVIDIA's driver " +
                std::string(*release == 0 ? "without a version" : release) + ": the layout"))
                << source_->absence();
        });
        EXPECT_EQ(rm_->calls(), 0U);
    }
}

TEST(RmReleases, ThoseReadAreKnown) {
    for (const char *release :
         {"560.28.03", "565.57.01", "570.144", "570.195.03", "575.51.02", "580.95.05", "590.48.01"})
        EXPECT_TRUE(check_rm_release(release)) << release;
    for (const char *release :
         {"560.28.03.1", "570..1.", "570.", "-1.2.3", "99999999999999999999.1.1"})
        EXPECT_FALSE(check_rm_release(release)) << release;
}

TEST_F(Fecs, AGpuOfAGuestIsNoneOfThisDriver) {
    devices_[3].driver = "vfio-pci";
    run([&] {
        look();
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        EXPECT_EQ(rm_->calls(), 0U);
        EXPECT_EQ(source_->absence(), "");
    });
}

TEST(RmClient, SaysWhatIsWrongWithItsNode) {
    Scratch scratch;
    auto none = RmClient::open(scratch.path(), kRelease);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().message,
              "open " + scratch / "nvidiactl" + ": No such file or directory");

    fs::create_symlink("/dev/null", scratch / "nvidiactl");
    auto other = RmClient::open(scratch.path(), kRelease);
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().message, scratch / "nvidiactl" + " is not NVIDIA's driver");

    fs::remove(scratch / "nvidiactl");
    std::ofstream(scratch / "nvidiactl") << "";
    fs::permissions(scratch / "nvidiactl", fs::perms::none);
    fs::permissions(scratch.path(), fs::perms::all);
    setfsuid(65534); // root could; of this thread alone
    auto forbidden = RmClient::open(scratch.path(), kRelease);
    setfsuid(getuid());
    ASSERT_FALSE(forbidden);
    EXPECT_EQ(forbidden.error().message, "open " + scratch / "nvidiactl" + ": Permission denied");
}

TEST_F(Fecs, TheLoadedReleaseMustBeTheOneThatIsNamed) {
    devices_[3].driver_version = "570.133.07"; // the inventory is behind a reload
    run([&] {
        EXPECT_EQ(absence(),
                  "unproven on hardware; " + dev_ +
                      "/nvidiactl does not confirm release 570.133.07: Invalid argument");
    });
}

TEST(WorkSources, AnUnprovenOneRunsOnlyWhereItIsNamed) {
    const auto &all = work_source_names();
    const auto &usual = default_work_sources();
    EXPECT_NE(std::find(all.begin(), all.end(), "fecs"), all.end());
    EXPECT_EQ(std::find(usual.begin(), usual.end(), "fecs"), usual.end());
    EXPECT_EQ(usual.size() + 1, all.size());
}

} // namespace
} // namespace tally
