// Launches counted by uprobes on a library with libcuda's function names, mapped by processes in
// two cgroups and in a mount namespace of their own; real uprobes on this kernel.
#include "tests/system/attested.h"
#include "tests/system/lab.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

namespace tally {
namespace {

using Function = int (*)();

// Opens the device and loads the library; a second later, when a scan has come by, calls.
void work_with(const std::string &library, Deed &deed, int launches, int copies) {
    int device = open("/dev/full", O_RDONLY | O_CLOEXEC);
    void *loaded = dlopen(library.c_str(), RTLD_NOW);
    if (device < 0 || loaded == nullptr)
        return;
    sleep_ms(2500);
    auto launch = reinterpret_cast<Function>(dlsym(loaded, "cuLaunchKernel"));
    auto copy = reinterpret_cast<Function>(dlsym(loaded, "cuMemcpyHtoD_v2"));
    auto wait = reinterpret_cast<Function>(dlsym(loaded, "cuCtxSynchronize"));
    for (int i = 0; i < launches; i++)
        launch();
    sleep_ms(1100); // into another second
    for (int i = 0; i < copies; i++)
        copy();
    wait();
    deed.opens = 1; // it came to its end
    sleep_ms(1200);
}

// The same, in a root of its own as far as the library goes: a copy on a file system that only this
// mount namespace has.
void work_apart(const std::string &library, const std::string &directory, Deed &deed) {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", directory.c_str(), "tmpfs", 0, nullptr) != 0)
        return;
    std::filesystem::copy_file(library, directory + "/libcuda.so.535.104");
    work_with(directory + "/libcuda.so.535.104", deed, 30, 3);
}

struct Sums {
    std::map<std::string, uint64_t> counts;
    uint64_t active_seconds = 0;
};

class CudaUprobe : public testing::Test {
protected:
    Sums work_of(const Attested &attested, const std::string &directory) const {
        Sums sums;
        for (const AttestedWindow &window : attested.windows) {
            for (const auto &[key, work] : window.work) {
                if (key.cgroup_id != cgroup_id(directory) || work.source() != "cuda_uprobe")
                    continue;
                EXPECT_EQ(key.device, "node:stand-in") << "it held no other";
                EXPECT_EQ(work.grade(), pb::GRADE_ABLE);
                sums.active_seconds += work.active_seconds();
                for (const pb::Count &count : work.counts())
                    sums.counts[count.what()] += count.count();
            }
        }
        return sums;
    }
};

TEST_F(CudaUprobe, CountsWhatEachWorkloadAsksForWhereverItsLibraryLies) {
    Lab lab;
    std::string library = Lab::program("tests/libcuda.so.1");
    std::string first = lab.cgroup("first"), second = lab.cgroup("second");
    std::string apart = lab.cgroup("apart"), idle = lab.cgroup("idle");
    std::filesystem::create_directory(lab.path("root"));
    lab.start_collector();
    lab.start_agent();
    TenantProcess one(first, [&](Deed &deed) { work_with(library, deed, 1000, 10); });
    TenantProcess two(second, [&](Deed &deed) { work_with(library, deed, 200, 0); });
    TenantProcess three(apart, [&](Deed &deed) { work_apart(library, lab.path("root"), deed); });
    // Holds nothing: its calls go through the probed file all the same, and are work without a
    // hold.
    TenantProcess bystander(idle, [&](Deed &deed) {
        sleep_ms(1000);
        dlopen(library.c_str(), RTLD_NOW);
        deed.opens = 1;
    });
    for (TenantProcess *tenant : {&one, &two, &three, &bystander})
        tenant->join();
    sleep_ms(1500);
    lab.stop_all();
    ASSERT_EQ(one.deed().opens + two.deed().opens + three.deed().opens, 3U);

    auto attested = read_attested(lab);
    ASSERT_TRUE(attested) << attested.error().message;
    Sums sums = work_of(*attested, first);
    EXPECT_EQ(sums.counts["launches"], 1000U);
    EXPECT_EQ(sums.counts["copies"], 10U);
    EXPECT_EQ(sums.counts["synchronisations"], 1U);
    EXPECT_GE(sums.active_seconds, 2U);
    EXPECT_LE(sums.active_seconds, 4U);
    EXPECT_EQ(work_of(*attested, second).counts["launches"], 200U);
    EXPECT_EQ(work_of(*attested, apart).counts["launches"], 30U);
    EXPECT_TRUE(work_of(*attested, idle).counts.empty());
}

TEST_F(CudaUprobe, SwitchedOffItCountsNothingAndSaysSo) {
    Lab lab;
    std::string library = Lab::program("tests/libcuda.so.1");
    std::string directory = lab.cgroup("first");
    lab.write("tallyd.toml", lab.agent_config("[[device]]\nname = \"stand-in\"\nnode = "
                                              "\"/dev/full\"\n[work]\nsources = []\n"));
    lab.start_collector();
    lab.start_agent();
    TenantProcess tenant(directory, [&](Deed &deed) { work_with(library, deed, 10, 0); });
    tenant.join();
    lab.stop_all();
    auto attested = read_attested(lab);
    ASSERT_TRUE(attested) << attested.error().message;
    EXPECT_EQ(attested->windows.front().sources.at("cuda_uprobe"), "switched off");
    for (const AttestedWindow &window : attested->windows)
        EXPECT_TRUE(window.work.empty());
}

} // namespace
} // namespace tally
