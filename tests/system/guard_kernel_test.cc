// Deeds against the agent and its kernel objects, done for real. Tests of a hook that this kernel
// does not offer are skipped, if the statement says that it is not attached.
#include "bpf/wire.h"
#include "tests/system/bpf_call.h"
#include "tests/system/guard_rig.h"

#include <csignal>
#include <filesystem>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>

namespace tally {
namespace {

namespace fs = std::filesystem;

class GuardKernel : public GuardTest {
protected:
    // The directory of pins whose name begins with `kind`: "maps-", "hooks-".
    std::string pins(const std::string &kind) const {
        for (const auto &entry : fs::directory_iterator(lab_.pins())) {
            if (entry.path().filename().string().starts_with(kind))
                return entry.path().string();
        }
        return {};
    }
    std::string map(const std::string &name) const { return pins("maps-") + "/" + name; }
    std::string link(const std::string &hook) const { return pins("hooks-") + "/" + hook; }
    static void next_window() { sleep_ms(1300); }
};

TEST_F(GuardKernel, ASignalIsToldWithItsSender) {
    start();
    kill(lab_.agent().pid(), SIGSTOP);
    kill(lab_.agent().pid(), SIGCONT);
    next_window();
    std::string found = findings();
    if (!attached("guard_signal"))
        GTEST_SKIP() << "guard_signal is not attached";
    expect(found, "agent signalled: SIGSTOP from " + self());
    expect_none(found, "SIGTERM"); // routine
}

TEST_F(GuardKernel, WhoKilledTheAgentIsToldByTheNextOne) {
    start();
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

TEST_F(GuardKernel, APinThatIsRemovedIsToldAndPutBack) {
    start();
    ASSERT_TRUE(fs::remove(map("usage")));
    ASSERT_TRUE(fs::remove(link("scan")));
    EXPECT_TRUE(told("pin removed: map usage: its pin was gone; pinned again"))
        << lab_.agent().output();
    EXPECT_TRUE(told("pin removed: link scan: its pin was gone; pinned again"));
    EXPECT_TRUE(fs::exists(map("usage")));
    EXPECT_TRUE(fs::exists(link("scan")));
    expect(findings(), "pin removed: map usage");
}

TEST_F(GuardKernel, APinThatLeadsElsewhereIsToldAndPutBack) {
    start();
    ASSERT_TRUE(fs::remove(map("holders")));
    ASSERT_TRUE(pin(open_pin(map("files")).get(), map("holders")));
    EXPECT_TRUE(told("pin removed: map holders: its pin led to something else; pinned again"))
        << lab_.agent().output();
    findings();
}

TEST_F(GuardKernel, PinsThatAreGoneWhenTheNextAgentComesAreTold) {
    start();
    next_window();
    lab_.agent().stop(SIGKILL);
    for (const char *kind : {"hooks-", "maps-"}) {
        std::string set = pins(kind);
        for (const auto &entry : fs::directory_iterator(set))
            unlink(entry.path().c_str());
        EXPECT_EQ(rmdir(set.c_str()), 0);
    }
    restart_agent();
    next_window();
    std::string found = findings();
    expect(found, "pin removed: all, while no agent ran: what was recorded since the last "
                  "statement is lost");
    EXPECT_EQ(found.find("coverage 100.00 %"), std::string::npos) << found;
}

TEST_F(GuardKernel, HooksWhosePinsAreGoneLeaveAHoleInTheRecord) {
    start();
    next_window();
    lab_.agent().stop(SIGKILL);
    EXPECT_EQ(unlink(link("scan").c_str()), 0);
    sleep_ms(1200);
    restart_agent();
    next_window();
    std::string found = findings();
    expect(found, "pin removed: 1 of ");
    expect(found, "the agent was not recording");
}

TEST_F(GuardKernel, AMapWhosePinIsGoneIsDoneWithout) {
    start();
    next_window();
    lab_.agent().stop(SIGKILL);
    EXPECT_EQ(unlink(map("usage").c_str()), 0);
    restart_agent();
    next_window();
    expect(findings(), "pin removed: map usage, while no agent ran");
}

// Also of links, and on every rung: the scan sees who keeps one.
TEST_F(GuardKernel, WhoKeepsADescriptorOfOursIsTold) {
    start();
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

TEST_F(GuardKernel, WhoTakesADescriptorForAMomentIsTold) {
    start();
    open_pin(map("usage")).reset();
    open_program(link_info(open_pin(link("scan")).get()).prog_id).reset();
    next_window();
    std::string found = findings();
    std::string prefix = attached("guard_map") ? "" : "kprobe_";
    if (!attached(prefix + "guard_map") || !attached(prefix + "guard_prog"))
        GTEST_SKIP() << "guard_map, guard_prog are not attached";
    expect(found, self() + " got at maps usage; programs scan");
}

TEST_F(GuardKernel, AListOfDevicesThatSomebodyChangedIsRestored) {
    start();
    Fd devices = open_pin(map("devices"));
    ASSERT_TRUE(delete_entry(devices.get(), WIRE_DEVICE_NUMBER(1, 7)));
    EXPECT_TRUE(told("1 entries of the list of watched devices were changed"))
        << lab_.agent().output();
    EXPECT_FALSE(delete_entry(devices.get(), WIRE_DEVICE_NUMBER(1, 99)));
    EXPECT_TRUE(delete_entry(devices.get(), WIRE_DEVICE_NUMBER(1, 7)));
    findings();
}

TEST_F(GuardKernel, AScanThatDoesSomethingElseIsFoundOut) {
    start();
    Lab other; // whose scan counts into other maps
    other.start_agent();
    std::string theirs;
    for (const auto &entry : fs::directory_iterator(other.pins())) {
        if (entry.path().filename().string().starts_with("hooks-"))
            theirs = entry.path().string() + "/scan";
    }
    Fd program = open_program(link_info(open_pin(theirs).get()).prog_id);
    Fd link_to_scan = open_pin(link("scan"));
    ASSERT_TRUE(program && link_to_scan);
    ASSERT_TRUE(replace_program(link_to_scan.get(), program.get())) << std::strerror(errno);
    EXPECT_TRUE(told("hook lost: scan: its link has another program")) << lab_.agent().output();
    EXPECT_TRUE(told("hook lost: scan: attached, but it does not see")) << lab_.agent().output();
    expect(findings(), "hook lost: scan: attached, but it does not see what the agent itself does");
}

TEST_F(GuardKernel, WhoReadsTheAgentsMemoryIsTold) {
    start();
    Fd memory(open(("/proc/" + std::to_string(lab_.agent().pid()) + "/mem").c_str(),
                   O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(memory);
    memory.reset();
    next_window();
    std::string found = findings();
    if (!attached("guard_trace") && !attached("kprobe_guard_trace"))
        GTEST_SKIP() << "guard_trace is not attached";
    expect(found, "agent traced: " + self());
}

} // namespace
} // namespace tally
