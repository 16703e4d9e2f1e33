// Jobs on the kernel's own GPU scheduler, queued by processes in two cgroups on a device whose
// engines are timers (tests/vm/ring), held against that device's own record of them.
#include "agent/clock.h"
#include "base/durable.h"
#include "tests/system/attested.h"
#include "tests/system/lab.h"
#include "tests/vm/passthrough.h"

#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>

namespace tally {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMs = 1'000'000;
constexpr const char *kFunctions = "/sys/bus/pci/devices/";
constexpr const char *kDriver = "/sys/bus/pci/drivers/tally_ring";

// As tests/vm/ring/tally_ring.c has it.
struct Busy {
    uint32_t engine;
    uint32_t milliseconds;
};
// include/uapi/drm/drm.h: DRM_IOCTL_BASE, DRM_COMMAND_BASE.
constexpr unsigned long kBusy = _IOW('d', 0x40, Busy);

// tests/vm/ring/build leaves it there.
std::string module_file() {
    utsname kernel = {};
    uname(&kernel);
    std::string release = kernel.release;
    std::string series = release.substr(0, release.find_first_of(".-", release.find('.') + 1));
    return "build/vm/" + series + "/ring/tally_ring.ko";
}

// A spare PCI function with the test's driver.
class RingDevice {
public:
    RingDevice() {
        EXPECT_EQ(run({"modprobe", "gpu-sched"}).status, 0);
        Outcome loaded = run({"insmod", module_file()});
        EXPECT_EQ(loaded.status, 0) << loaded.output;
        std::vector<std::string> functions = spare_functions();
        if (functions.empty())
            return;
        address_ = functions[0];
        write_attribute(kFunctions + address_ + "/driver_override", "tally_ring");
        write_attribute("/sys/bus/pci/drivers_probe", address_);
        for (const auto &entry : fs::directory_iterator(kFunctions + address_ + "/drm")) {
            if (std::string name = entry.path().filename(); name.starts_with("renderD"))
                node_ = "/dev/dri/" + name;
        }
    }
    ~RingDevice() {
        write_attribute(std::string(kDriver) + "/unbind", address_);
        write_attribute(kFunctions + address_ + "/driver_override", "\n");
        EXPECT_EQ(run({"rmmod", "tally_ring"}).status, 0);
    }
    const std::string &node() const { return node_; }
    std::string id() const { return "pci:" + address_; }

private:
    std::string address_, node_;
};

// What the device itself counted for this descriptor.
uint64_t busy_ns(int fd, const std::string &engine) {
    auto contents = read_text("/proc/self/fdinfo/" + std::to_string(fd));
    std::string key = "drm-engine-" + engine + ":\t";
    size_t at = contents ? contents->find(key) : std::string::npos;
    return at == std::string::npos ? 0 : std::stoull(contents->substr(at + key.size()));
}

struct Sums {
    uint64_t busy_ns = 0, jobs = 0, active_seconds = 0, memory_bytes = 0;
};

class GpuScheduler : public testing::Test {
protected:
    // By (source, engine), of one workload; each window by itself is checked on the way.
    static std::map<std::pair<std::string, std::string>, Sums>
    work_of(const Attested &attested, const std::string &cgroup, const std::string &device) {
        std::map<std::pair<std::string, std::string>, Sums> all;
        for (const AttestedWindow &window : attested.windows) {
            for (const auto &[key, work] : window.work) {
                if (key.cgroup_id != cgroup_id(cgroup))
                    continue;
                EXPECT_EQ(key.device, device) << work.source();
                EXPECT_LE(work.busy_ns(), window.end_ns - window.begin_ns);
                Sums &sums = all[{work.source(), work.engine()}];
                sums.busy_ns += work.busy_ns();
                sums.active_seconds += work.active_seconds();
                sums.memory_bytes = std::max(sums.memory_bytes, work.memory_bytes());
                for (const pb::Count &count : work.counts())
                    sums.jobs += count.what() == "jobs" ? count.count() : 0;
            }
        }
        return all;
    }
};

TEST_F(GpuScheduler, JobsAreBusyForWhomTheyWereQueuedAsLongAsTheDeviceSays) {
    ASSERT_TRUE(fs::exists(module_file())) << "tests/vm/ring/build makes it";
    RingDevice device;
    ASSERT_FALSE(device.node().empty());
    Lab lab;
    std::string first = lab.cgroup("first"), second = lab.cgroup("second");
    lab.start_collector();
    lab.start_agent();
    // In the Deed: what the device says of gfx (begin_ns) and of compute (end_ns).
    auto use = [&](const std::vector<Busy> &jobs) {
        return [&device, jobs](Deed &deed) {
            int fd = open(device.node().c_str(), O_RDWR | O_CLOEXEC);
            sleep_ms(2500); // a scan comes by
            for (const Busy &job : jobs) {
                if (fd < 0 || ioctl(fd, kBusy, &job) != 0)
                    return;
            }
            sleep_ms(3200);
            deed.begin_ns = busy_ns(fd, "gfx");
            deed.end_ns = busy_ns(fd, "compute");
            deed.opens = jobs.size();
            sleep_ms(1500); // and once more
        };
    };
    TenantProcess one(first, use({{0, 400}, {0, 1}, {0, 400}, {0, 300}}));
    TenantProcess two(second, use({{0, 200}, {0, 250}, {1, 1700}, {0, 50}}));
    one.join();
    two.join();
    sleep_ms(1500);
    lab.stop_all();
    ASSERT_EQ(one.deed().opens + two.deed().opens, 8U);

    auto attested = read_attested(lab);
    ASSERT_TRUE(attested) << attested.error().message;
    auto of_first = work_of(*attested, first, device.id());
    auto of_second = work_of(*attested, second, device.id());
    struct {
        const char *what;
        uint64_t record;
        Sums scheduled, sampled;
        uint64_t jobs;
    } expected[] = {
        {"first on gfx", one.deed().begin_ns, of_first[{"drm_sched", "gfx"}],
         of_first[{"drm_fdinfo", "gfx"}], 4},
        {"second on gfx", two.deed().begin_ns, of_second[{"drm_sched", "gfx"}],
         of_second[{"drm_fdinfo", "gfx"}], 3},
        {"second on compute", two.deed().end_ns, of_second[{"drm_sched", "compute"}],
         of_second[{"drm_fdinfo", "compute"}], 1},
    };
    for (const auto &each : expected) {
        std::printf("%s: the device says %.3f ms, drm_sched %.3f ms, drm_fdinfo %.3f ms\n",
                    each.what, static_cast<double>(each.record) / 1e6,
                    static_cast<double>(each.scheduled.busy_ns) / 1e6,
                    static_cast<double>(each.sampled.busy_ns) / 1e6);
        EXPECT_NEAR(static_cast<double>(each.scheduled.busy_ns) / 1e6,
                    static_cast<double>(each.record) / 1e6, 3.0 * static_cast<double>(each.jobs));
        EXPECT_EQ(each.scheduled.jobs, each.jobs);
        // The same record, but for what a window had no room for.
        EXPECT_NEAR(static_cast<double>(each.sampled.busy_ns) / 1e6,
                    static_cast<double>(each.record) / 1e6, 20);
        EXPECT_LE(each.scheduled.active_seconds * kSecond, each.record + 3 * kSecond);
    }
    EXPECT_GE(one.deed().begin_ns, 1101 * kMs);
    EXPECT_EQ((of_first[{"drm_fdinfo", ""}].memory_bytes), 4U << 20);
    std::string findings = lab.tally({"findings", lab.log()}).output;
    for (const char *kind : {"sources-disagree", "work-without-hold", "loss@"})
        EXPECT_EQ(findings.find(kind), std::string::npos) << findings;
}

} // namespace
} // namespace tally
