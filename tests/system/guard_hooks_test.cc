// Deeds against the agent, its kernel objects and its hooks, done for real on each rung. Tests of a
// hook that this kernel does not offer are skipped, if the statement says that it is not attached.
#include "base/durable.h"
#include "bpf/wire.h"
#include "tests/system/bpf_call.h"
#include "tests/system/guard_rig.h"
#include "tests/system/intruder.h"

#include <algorithm>
#include <csignal>
#include <linux/pci.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

namespace tally {
namespace {

namespace fs = std::filesystem;

class GuardHooks : public GuardTest, public testing::WithParamInterface<std::string> {
protected:
    void SetUp() override { start(GetParam()); }
    // The guard's hook on this rung.
    static std::string hook(const std::string &name) {
        return GetParam() == "kprobe" ? "kprobe_" + name : name;
    }
};

TEST_P(GuardHooks, ASignalIsToldWithItsSender) {
    kill(lab_.agent().pid(), SIGSTOP);
    kill(lab_.agent().pid(), SIGCONT);
    next_window();
    std::string found = findings();
    if (!attached("guard_signal"))
        GTEST_SKIP() << "guard_signal is not attached";
    expect(found, "agent signalled: SIGSTOP from " + self());
    expect_none(found, "SIGTERM"); // routine
}

TEST_P(GuardHooks, WhoKilledTheAgentIsToldByTheNextOne) {
    next_window();
    EXPECT_EQ(lab_.agent().stop(SIGKILL), 128 + SIGKILL);
    restart_agent();
    next_window();
    std::string found = findings();
    if (!attached("guard_signal"))
        GTEST_SKIP() << "guard_signal is not attached";
    expect(found, "agent signalled: SIGKILL from " + self());
    expect_none(found, "foreign use"); // taking over what is its own is no deed
    expect_none(found, "pin removed");
}

// Also of links, and on every rung: the scan sees who keeps one.
TEST_P(GuardHooks, WhoKeepsADescriptorOfOursIsTold) {
    next_window(); // the first scans teach it what such descriptors look like
    Fd device_map = open_pin(map("devices"));
    Fd scan_link = open_pin(link("scan"));
    ASSERT_TRUE(device_map && scan_link);
    next_window();
    next_window();
    std::string found = findings();
    expect(found, "foreign use of our BPF objects: " + self());
    expect(found, "devices");
    expect(found, "links scan");
}

TEST_P(GuardHooks, WhoTakesADescriptorForAMomentIsTold) {
    open_pin(map("usage")).reset();
    open_program(link_info(open_pin(link("scan")).get()).prog_id).reset();
    next_window();
    std::string found = findings();
    if (!attached(hook("guard_map")) || !attached(hook("guard_prog")))
        GTEST_SKIP() << "guard_map, guard_prog are not attached";
    expect(found, self() + " got at maps usage; programs scan");
}

TEST_P(GuardHooks, AListOfDevicesThatSomebodyChangedIsRestored) {
    Fd devices = open_pin(map("devices"));
    ASSERT_TRUE(delete_entry(devices.get(), WIRE_DEVICE_NUMBER(1, 7)));
    EXPECT_TRUE(told("1 entries of the list of watched devices were changed"))
        << lab_.agent().output();
    EXPECT_FALSE(delete_entry(devices.get(), WIRE_DEVICE_NUMBER(1, 99)));
    EXPECT_TRUE(delete_entry(devices.get(), WIRE_DEVICE_NUMBER(1, 7)));
    findings();
}

TEST_P(GuardHooks, AScanThatDoesSomethingElseIsFoundOut) {
    Lab other; // whose scan counts into other maps
    other.start_agent();
    Fd theirs = open_pin(pins_of(other, "hooks-") + "/scan");
    Fd program = open_program(link_info(theirs.get()).prog_id);
    Fd link_to_scan = open_pin(link("scan"));
    ASSERT_TRUE(program && link_to_scan);
    ASSERT_TRUE(replace_program(link_to_scan.get(), program.get())) << std::strerror(errno);
    EXPECT_TRUE(told("hook lost: scan: its link has another program")) << lab_.agent().output();
    EXPECT_TRUE(told("hook lost: scan: attached, but it does not see")) << lab_.agent().output();
    expect(findings(), "hook lost: scan: attached, but it does not see what the agent itself does");
}

TEST_P(GuardHooks, WhoReadsTheAgentsMemoryIsTold) {
    Fd memory(open(("/proc/" + std::to_string(lab_.agent().pid()) + "/mem").c_str(),
                   O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(memory);
    memory.reset();
    next_window();
    std::string found = findings();
    if (!attached(hook("guard_trace")))
        GTEST_SKIP() << "guard_trace is not attached";
    expect(found, "agent traced: " + self());
}

// A device whose registers somebody maps is in use without its driver, or any of its nodes.
TEST_P(GuardHooks, WhoMapsADevicesResourcesIsTold) {
    std::string address = spare_function();
    if (address.empty()) {
        findings();
        EXPECT_FALSE(attached(hook("guard_mapped"))) << "this needs a PCI function to spare";
        GTEST_SKIP() << "guard_mapped is not attached";
    }
    std::string sysfs = "/sys/bus/pci/devices/" + address + "/resource";
    Fd resource(open((sysfs + "2").c_str(), O_RDWR | O_CLOEXEC));
    void *registers = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, resource.get(), 0);
    ASSERT_NE(registers, MAP_FAILED) << std::strerror(errno);
    munmap(registers, 4096);

    auto resources = read_text(sysfs); // a line for each: "BEGIN END FLAGS"
    ASSERT_TRUE(resources);
    auto begin = static_cast<off_t>(std::stoull(*resources, nullptr, 16));
    std::string proc = "/proc/bus/pci/" + address.substr(5, 2) + "/" + address.substr(8);
    Fd function(open(proc.c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_EQ(ioctl(function.get(), PCIIOC_MMAP_IS_MEM), 0);
    void *memory = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, function.get(), begin);
    ASSERT_NE(memory, MAP_FAILED) << std::strerror(errno);
    munmap(memory, 4096);

    next_window();
    std::string found = findings();
    expect(found, "PCI resource mapped: " + address + " resource 2 by " + self());
    expect(found, "PCI resource mapped: " + address + " resource 0 by " + self());
}

// The rungs that see edges as they happen.
class GuardEdges : public GuardHooks {};

// A debugger closes a descriptor of the agent's, and the pin goes too: that hook is gone, though
// the agent lives. The scan sees what it no longer does.
TEST_P(GuardEdges, AHookThatIsTornOutIsFoundOutAndTheRecordGoesOn) {
    const std::map<std::string, std::string> openers = {
        {"exact", "exact_open"}, {"kprobe", "kprobe_open"}, {"traced", "opened_openat"}};
    std::string opener = openers.at(GetParam());
    uint32_t id = link_info(open_pin(link(opener)).get()).id;
    ASSERT_TRUE(close_in(lab_.agent().pid(), descriptor_of_link(lab_.agent().pid(), id)));
    ASSERT_TRUE(fs::remove(link(opener)));
    EXPECT_TRUE(told("hook lost: link " + opener + ": the agent's descriptor of it is gone"))
        << lab_.agent().output();
    EXPECT_TRUE(told("hook lost: " + opener + ": attached, but it does not see"))
        << lab_.agent().output();
    TenantProcess tenant(lab_.cgroup("late"), [](Deed &deed) {
        deed.opens = open("/dev/full", O_RDONLY | O_CLOEXEC) >= 0 ? 1 : 0;
        sleep_ms(2500);
    });
    tenant.join();
    next_window();
    std::string found = findings();
    expect(found, "hook lost: " + opener + ": attached, but it does not see what the agent itself");
    expect(found, "/late, which held node:stand-in");
}

// Kprobes can be switched off as a whole: all stay attached, none fires.
TEST_F(GuardTest, KprobesThatAreSwitchedOffAreFoundOut) {
    std::vector<std::string> tested = rungs();
    if (std::find(tested.begin(), tested.end(), "kprobe") == tested.end())
        GTEST_SKIP() << "rung kprobe is not tested here";
    start("kprobe");
    ASSERT_TRUE(write_to("/sys/kernel/debug/kprobes/enabled", "0"));
    // The kernel disarms them one by one: a window's try may see some still firing.
    std::vector<std::string> losses;
    for (const char *lost : {"kprobe_open", "kprobe_receive", "kprobe_leave", "kprobe_release"})
        losses.push_back("hook lost: " + std::string(lost) + ": attached, but it does not see");
    std::vector<std::string> unseen = losses;
    std::erase_if(unseen, [&](const std::string &loss) { return told(loss); });
    ASSERT_TRUE(write_to("/sys/kernel/debug/kprobes/enabled", "1"));
    EXPECT_EQ(unseen, std::vector<std::string>()) << lab_.agent().output();
    next_window();
    std::string found = findings();
    for (const std::string &loss : losses)
        expect(found, loss);
}

std::vector<std::string> rungs_with_edges() {
    std::vector<std::string> all = rungs();
    std::erase(all, "scanned");
    return all;
}

INSTANTIATE_TEST_SUITE_P(Rungs, GuardEdges, testing::ValuesIn(rungs_with_edges()),
                         [](const auto &info) { return info.param; });
INSTANTIATE_TEST_SUITE_P(Rungs, GuardHooks, testing::ValuesIn(rungs()),
                         [](const auto &info) { return info.param; });

} // namespace
} // namespace tally
