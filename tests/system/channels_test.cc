// Channels and queues that processes in cgroups of their own ask of drivers that stand in for
// NVIDIA's and AMD's (fake_driver.h), against what the log says of them.
#include "tests/system/attested.h"
#include "tests/system/fake_driver.h"
#include "tests/system/lab.h"

#include "base/fd.h"

#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace tally {
namespace {

constexpr uint32_t kGroup = 0xa06c, kHopperChannel = 0xc86f, kBlackwellChannel = 0xca6f;
constexpr uint32_t kClient = 0x41, kDevice = 0x80;

// NVOS21_PARAMETERS, NVOS64_PARAMETERS, NVOS00_PARAMETERS (nvos.h), nv_ioctl_xfer_t (nv-ioctl.h)
struct Alloc21 {
    uint32_t client, parent, object, object_class;
    uint64_t status_wanted; // pAllocParms
    uint32_t size, status;
};
struct Alloc64 {
    uint32_t client, parent, object, object_class;
    uint64_t status_wanted; // pAllocParms
    uint64_t rights;
    uint32_t size, flags, status, pad;
};
struct Free {
    uint32_t client, status_wanted, object, status;
};
struct Transfer {
    uint32_t command, size;
    uint64_t pointer;
};
struct AllocOfTheFuture {
    Alloc64 known;
    uint64_t more;
};

constexpr unsigned kUntilHooked = 1700; // ms from the first open

class Rm {
public:
    explicit Rm(const std::string &control) : fd_(open(control.c_str(), O_RDWR | O_CLOEXEC)) {}
    int alloc(uint32_t client, uint32_t parent, uint32_t object, uint32_t object_class,
              uint32_t status = 0) const {
        Alloc64 asked{client, parent, object, object_class, status, 0, 0, 0, 0xffff, 0};
        return ioctl(fd_.get(), _IOWR('F', 0x2b, Alloc64), &asked);
    }
    int alloc_briefly(uint32_t client, uint32_t parent, uint32_t object, uint32_t object_class,
                      uint32_t status = 0) const {
        Alloc21 asked{client, parent, object, object_class, status, 0, 0xffff};
        return ioctl(fd_.get(), _IOWR('F', 0x2b, Alloc21), &asked);
    }
    // With another magic byte, which the driver does not look at.
    int alloc_wrapped(uint32_t client, uint32_t parent, uint32_t object,
                      uint32_t object_class) const {
        Alloc64 asked{client, parent, object, object_class, 0, 0, 0, 0, 0xffff, 0};
        Transfer transfer{0x2b, sizeof(asked), reinterpret_cast<uint64_t>(&asked)};
        return ioctl(fd_.get(), _IOWR('X', 211, Transfer), &transfer);
    }
    int free(uint32_t client, uint32_t object, uint32_t status = 0) const {
        Free asked{client, status, object, 0xffff};
        return ioctl(fd_.get(), _IOWR('F', 0x29, Free), &asked);
    }
    int from(uint64_t pointer) const {
        Transfer transfer{0x2b, sizeof(Alloc64), pointer};
        return ioctl(fd_.get(), _IOWR('F', 211, Transfer), &transfer);
    }
    int of_the_future() const {
        AllocOfTheFuture asked{{1, 2, 3, kHopperChannel, 0, 0, 0, 0, 0, 0}, 0};
        return ioctl(fd_.get(), _IOWR('F', 0x2b, AllocOfTheFuture), &asked);
    }
    // As a 32-bit process would.
    int alloc_32(uint32_t client, uint32_t parent, uint32_t object, uint32_t object_class) const {
        void *low = mmap(nullptr, 4096, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
        *static_cast<Alloc64 *>(low) = {client, parent, object, object_class, 0, 0, 0, 0, 1, 0};
        int result = 54; // __NR_ioctl of 32-bit x86
        asm volatile("int $0x80"
                     : "+a"(result)
                     : "b"(fd_.get()), "c"(_IOWR('F', 0x2b, Alloc64)), "d"(low)
                     : "memory", "r8", "r9", "r10", "r11");
        munmap(low, 4096);
        return result;
    }
    int nowhere() const { return ioctl(fd_.get(), _IOWR('F', 0x2b, Alloc64), 0x10); }

private:
    Fd fd_;
};

// Every way of making and ending a channel: 8 made, 3 while it sleeps; none is left.
void make_channels(const std::string &gpu, const std::string &control, Deed &deed) {
    Fd device(open(gpu.c_str(), O_RDWR | O_CLOEXEC));
    sleep_ms(kUntilHooked);
    Rm rm(control);
    constexpr uint32_t kMine = 0xc1d00001, kOther = 0xc1d00002;
    int failed = 0;
    for (uint32_t client : {kMine, kOther}) {
        failed |= rm.alloc_briefly(client, client, client, kClient);
        failed |= rm.alloc(client, client, 0x10, kDevice);
    }
    failed |= rm.alloc(kMine, 0x10, 0x20, kGroup);
    failed |= rm.alloc_briefly(kMine, 0x20, 0x30, kHopperChannel);
    failed |= rm.alloc(kMine, 0x20, 0x31, kHopperChannel);
    failed |= rm.alloc_wrapped(kMine, 0x20, 0x32, kBlackwellChannel);
    failed |= rm.alloc(kMine, 0x20, 0x33, kHopperChannel, 0x56);         // refused
    failed |= rm.alloc_briefly(kMine, 0x20, 0x34, kHopperChannel, 0x1f); // refused
    failed |= rm.alloc(kMine, 0x20, 0x35, 0xcbc0);                       // a compute class
    failed |= rm.of_the_future();
    failed |= rm.from(kUnmappedMeanwhile);
    failed |= rm.free(kMine, 0x30, 0x1f); // refused: it stays
    failed |= rm.free(kMine, 0x31);       // 1 destroyed
    failed |= rm.free(kMine, 0x35);
    failed |= rm.alloc(kOther, 0x10, 0x20, kGroup);
    failed |= rm.alloc(kOther, 0x20, 0x30, kHopperChannel);
    failed |= rm.alloc(kOther, 0x10, 0x31, kHopperChannel);
    failed |= rm.free(kMine, 0x20); // 2 more, with their group; the other client's stay
    failed |= rm.alloc(kMine, 0x10, 0x30, kHopperChannel);
    failed |= rm.alloc(kMine, 0x10, 0x40, kGroup);
    failed |= rm.alloc(kMine, 0x40, 0x41, kHopperChannel);
    failed |= rm.free(kMine, 0x10);    // 2 more, at one and at two removes
    failed |= rm.free(kOther, kOther); // 2 more, with the client
    failed |= rm.alloc(kMine, kMine, 0x10, kDevice);
    deed.begin_ns = boottime_ns();
    failed |= rm.alloc(kMine, 0x10, 0x30, kHopperChannel);
    failed |= rm.nowhere() == 0 || rm.from(0x20) == 0; // refused by the kernel
    sleep_ms(2000);
    failed |= rm.free(kMine, kMine);
    deed.end_ns = boottime_ns();
    deed.opens = failed == 0;
    sleep_ms(1300); // without any
}

// Through a node of another name, one by a 32-bit call, and left to the end.
void leave_channels(const std::string &gpu, const std::string &control, Deed &deed) {
    Fd device(open(gpu.c_str(), O_RDWR | O_CLOEXEC));
    sleep_ms(kUntilHooked);
    Rm rm(control);
    deed.begin_ns = boottime_ns();
    int failed = rm.alloc(0xc1d00003, 0xc1d00003, 0xc1d00003, kClient);
    failed |= rm.alloc(0xc1d00003, 0x10, 0x30, kHopperChannel);
    failed |= rm.alloc_32(0xc1d00003, 0x10, 0x31, kHopperChannel);
    sleep_ms(1500);
    deed.opens = failed == 0;
    deed.end_ns = boottime_ns();
}

void only_hold(const std::string &gpu, Deed &deed) {
    sleep_ms(kUntilHooked + 1000); // and for a second
    Fd device(open(gpu.c_str(), O_RDWR | O_CLOEXEC));
    sleep_ms(2500);
    deed.opens = device ? 1 : 0;
}

// kfd_ioctl_create_queue_args up to 6.12, and with sdma_engine_id and pad as later.
struct Queue {
    uint64_t addresses[4];
    uint32_t ring_size, gpu_id, type, percentage, priority, queue;
    uint64_t rest[4];
};
struct LaterQueue {
    Queue known;
    uint64_t more;
};
static_assert(sizeof(Queue) == 88);

void make_queues(const std::string &node, Deed &deed) {
    Fd kfd(open(node.c_str(), O_RDWR | O_CLOEXEC));
    sleep_ms(kUntilHooked);
    int failed = 0;
    auto create = [&](uint32_t type, int error) {
        Queue queue = {};
        queue.gpu_id = 0x9ed5;
        queue.type = type;
        queue.percentage = static_cast<uint32_t>(error);
        int result = ioctl(kfd.get(), _IOWR('K', 0x02, Queue), &queue);
        failed |= (result != 0) != (error != 0);
        return queue.queue;
    };
    uint32_t first = create(0, 0);
    create(2, 0);
    create(1, 0);
    create(0, ENOMEM);
    LaterQueue later = {};
    later.known.gpu_id = 0x9ed5;
    later.known.type = 4;
    failed |= ioctl(kfd.get(), _IOWR('K', 0x02, LaterQueue), &later);
    uint64_t destroy = first;
    failed |= ioctl(kfd.get(), _IOWR('K', 0x03, uint64_t), &destroy);
    destroy = 12345; // none of its own
    failed |= ioctl(kfd.get(), _IOWR('K', 0x03, uint64_t), &destroy);
    deed.opens = failed == 0;
    sleep_ms(1200);
}

struct Sums {
    std::map<std::string, uint64_t> counts;
    uint64_t active_seconds = 0;
    std::set<std::string> devices;
    uint64_t take(const std::string &what) {
        auto found = counts.find(what);
        uint64_t count = found == counts.end() ? 0 : found->second;
        counts.erase(what);
        return count;
    }
};

Sums work_of(const Attested &attested, const std::string &directory, const std::string &source) {
    Sums sums;
    for (const AttestedWindow &window : attested.windows) {
        for (const auto &[key, work] : window.work) {
            if (key.cgroup_id != cgroup_id(directory) || work.source() != source)
                continue;
            EXPECT_EQ(work.grade(), pb::GRADE_ABLE);
            EXPECT_FALSE(work.has_busy_ns());
            sums.devices.insert(key.device);
            sums.active_seconds += work.active_seconds();
            for (const pb::Count &count : work.counts())
                sums.counts[count.what()] += count.count();
        }
    }
    return sums;
}

// Whole seconds, of which less than one is left over.
void expect_near(uint64_t seconds, const Deed &deed, double late) {
    double really = static_cast<double>(deed.end_ns - deed.begin_ns) / 1e9;
    EXPECT_GE(static_cast<double>(seconds), really - 1.2);
    EXPECT_LE(static_cast<double>(seconds), really + late);
}

using Counts = std::map<std::string, uint64_t>;

class Channels : public testing::TestWithParam<std::string> {
protected:
    static std::string recording() { return "hooks = \"" + GetParam() + "\"\n"; }
};

TEST_P(Channels, OfEachWorkloadAreCountedWhileItsDeviceIsHeld) {
    if (GetParam() == "scanned")
        GTEST_SKIP() << "has no hook on ioctl";
    if (!has_cuse())
        GTEST_SKIP() << "this kernel has no CUSE for drivers to stand in";
    FakeDriver gpu("nvidia0", 195, 0, answer_as_nvidia);
    FakeDriver control("nvidiactl", 195, 255, answer_as_nvidia);
    FakeDriver kfd("kfd", 0, 0, answer_as_kfd);
    Lab lab;
    std::string renamed = lab.path("another-name");
    ASSERT_EQ(mknod(renamed.c_str(), S_IFCHR | 0600, makedev(195, 255)), 0);
    lab.write("tallyd.toml",
              lab.agent_config("[[device]]\nname = \"gpu\"\nnode = \"/dev/nvidia0\"\n"
                               "[[device]]\nname = \"kfd\"\nnode = \"/dev/kfd\"\n",
                               recording()));
    std::string full = lab.cgroup("full"), left = lab.cgroup("left"), idle = lab.cgroup("idle"),
                amd = lab.cgroup("amd");
    lab.start_collector();
    lab.start_agent();
    TenantProcess one(full, [&](Deed &deed) { make_channels(gpu.node(), control.node(), deed); });
    TenantProcess two(left, [&](Deed &deed) { leave_channels(gpu.node(), renamed, deed); });
    TenantProcess three(idle, [&](Deed &deed) { only_hold(gpu.node(), deed); });
    TenantProcess four(amd, [&](Deed &deed) { make_queues(kfd.node(), deed); });
    for (TenantProcess *tenant : {&one, &two, &three, &four}) {
        tenant->join();
        EXPECT_EQ(tenant->deed().opens, 1U) << "what it asked for was not answered as planned";
    }
    sleep_ms(1500);
    lab.stop_all();

    auto attested = read_attested(lab);
    ASSERT_TRUE(attested) << attested.error().message;
    Sums sums = work_of(*attested, full, "nvidia_rm");
    EXPECT_EQ(sums.devices, std::set<std::string>{"node:gpu"});
    EXPECT_GE(sums.active_seconds, 2U);
    EXPECT_LE(sums.active_seconds, 4U);
    expect_near(sums.take("process-seconds with channels"), one.deed(), 1.2);
    EXPECT_GE(sums.take("process-seconds unknown channels"), 2U);
    EXPECT_EQ(sums.counts, (Counts{{"channels created", 8},
                                   {"channels destroyed", 8},
                                   {"channels refused", 2},
                                   {"channel groups created", 3},
                                   {"requests of unknown size", 1},
                                   {"requests not read", 1}}));

    sums = work_of(*attested, left, "nvidia_rm");
    // Until it is seen to be gone.
    expect_near(sums.take("process-seconds with channels"), two.deed(), 2.5);
    sums.take("process-seconds unknown channels");
    uint64_t seen = GetParam() == "traced" ? 1 : 2; // no 32-bit calls (trace_get_syscall_nr)
    EXPECT_EQ(sums.counts,
              (Counts{{"channels created", seen}, {"channels left to the process's end", seen}}));

    sums = work_of(*attested, idle, "nvidia_rm");
    uint64_t without = sums.take("process-seconds without channels");
    EXPECT_GE(without, 1U);
    EXPECT_LE(without, 4U);
    EXPECT_EQ(sums.counts, Counts{}) << "held, and could run nothing";

    sums = work_of(*attested, amd, "kfd");
    EXPECT_TRUE(sums.devices.contains("node:kfd"));
    sums.take("process-seconds unknown queues");
    EXPECT_GE(sums.take("process-seconds with queues"), 1U);
    EXPECT_EQ(sums.counts, (Counts{{"compute queues created", 2},
                                   {"copy queues created", 2},
                                   {"queues destroyed", 1},
                                   {"queues refused", 1},
                                   {"queues left to the process's end", 3}}));
}

TEST_P(Channels, WithoutAHookItIsSaidThatNothingIsSeen) {
    if (GetParam() != "scanned")
        GTEST_SKIP() << "has hooks on ioctl";
    Lab lab;
    lab.write(
        "tallyd.toml",
        lab.agent_config("[[device]]\nname = \"stand-in\"\nnode = \"/dev/full\"\n", recording()));
    lab.start_collector();
    lab.start_agent();
    sleep_ms(1500);
    lab.stop_all();
    auto attested = read_attested(lab);
    ASSERT_TRUE(attested) << attested.error().message;
    for (const char *source : {"nvidia_rm", "kfd"})
        EXPECT_EQ(attested->windows.front().sources.at(source),
                  "rung scanned: no hook on ioctl but one that slows every system call of the "
                  "machine");
}

INSTANTIATE_TEST_SUITE_P(Rungs, Channels, testing::ValuesIn(rungs()),
                         [](const auto &rung) { return rung.param; });

} // namespace
} // namespace tally
