// What would blind the record, done for real to a real agent, and what the auditor then reads.
#include "tests/system/lab.h"

#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <regex>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/wait.h>

namespace tally {
namespace {

namespace fs = std::filesystem;

bool write_to(const std::string &file, const std::string &what) {
    Fd fd(open(file.c_str(), O_WRONLY | O_CLOEXEC));
    return fd && write(fd.get(), what.data(), what.size()) == static_cast<ssize_t>(what.size());
}

// Steps the wall clock. Tests step it by so little that nobody else minds, and back.
bool step_clock(long milliseconds) {
    timex step = {};
    step.modes = ADJ_SETOFFSET | ADJ_NANO;
    long ns = milliseconds * 1'000'000;
    step.time.tv_sec = ns < 0 ? -1 : 0;
    step.time.tv_usec = ns < 0 ? ns + 1'000'000'000 : ns;
    return adjtimex(&step) >= 0;
}

class GuardTest : public testing::Test {
protected:
    void start(const std::string &extra = "") {
        lab_.write("tallyd.toml",
                   lab_.agent_config(extra + "[[device]]\nname = \"stand-in\"\nnode = "
                                             "\"/dev/full\"\n"));
        lab_.start_collector();
        lab_.start_agent();
        EXPECT_TRUE(lab_.agent().says("connected")) << lab_.agent().output();
    }
    // The auditor's findings about all that the agent saw until now.
    std::string findings() {
        lab_.stop_all();
        Outcome verified = lab_.tally({"verify", lab_.log()});
        EXPECT_LE(verified.status, 1) << verified.output;
        return verified.output;
    }
    void expect(const std::string &findings, const std::string &text) {
        EXPECT_NE(findings.find(text), std::string::npos) << "no \"" << text << "\" in\n"
                                                          << findings;
    }
    static void expect_none(const std::string &findings, const std::string &text) {
        EXPECT_EQ(findings.find(text), std::string::npos) << findings;
    }

    Lab lab_;
};

TEST_F(GuardTest, AStoppedAgentSaysForHowLong) {
    start();
    kill(lab_.agent().pid(), SIGSTOP);
    sleep_ms(4500);
    kill(lab_.agent().pid(), SIGCONT);
    sleep_ms(500);
    expect(findings(), "agent paused: for ");
}

TEST_F(GuardTest, AFrozenAgentSaysForHowLong) {
    start();
    std::string freezer = lab_.cgroup("freezer");
    ASSERT_TRUE(write_to(freezer + "/cgroup.procs", std::to_string(lab_.agent().pid())));
    ASSERT_TRUE(write_to(freezer + "/cgroup.freeze", "1"));
    sleep_ms(4500);
    ASSERT_TRUE(write_to(freezer + "/cgroup.freeze", "0"));
    sleep_ms(500);
    expect(findings(), "stopped, frozen or starved of CPU");
}

TEST_F(GuardTest, ATracerIsNamed) {
    start();
    pid_t tracer = fork();
    if (tracer == 0) {
        ptrace(PTRACE_SEIZE, lab_.agent().pid(), nullptr, nullptr);
        sleep_ms(2500);
        _exit(0); // and lets go
    }
    waitpid(tracer, nullptr, 0);
    expect(findings(), "agent traced: by pid " + std::to_string(tracer) + " (system)");
}

TEST_F(GuardTest, AClockThatIsSetIsToldWithItsStep) {
    start();
    ASSERT_TRUE(step_clock(+40));
    sleep_ms(1200);
    ASSERT_TRUE(step_clock(-40));
    sleep_ms(1200);
    std::string found = findings();
    // To a microsecond: the two clocks cannot be read at one instant.
    for (const char *step :
         {"clock set: by \\+(39999|40000)\\d{3} ns", "clock set: by -(39999|40000)\\d{3} ns"})
        EXPECT_TRUE(std::regex_search(found, std::regex(step))) << step << "\n" << found;
}

TEST_F(GuardTest, AClockThatIsSlewedIsNoEvent) {
    start();
    timeval slew = {0, 800};
    timeval none = {0, 0};
    ASSERT_EQ(adjtime(&slew, nullptr), 0);
    sleep_ms(2200);
    ASSERT_EQ(adjtime(&none, nullptr), 0);
    expect_none(findings(), "clock set");
}

TEST_F(GuardTest, AClockThatIsSetWhileTheAgentIsAwayIsTold) {
    start();
    sleep_ms(1200);
    EXPECT_EQ(lab_.agent().stop(SIGTERM), 0);
    ASSERT_TRUE(step_clock(+400));
    lab_.start_agent();
    ASSERT_TRUE(step_clock(-400));
    EXPECT_TRUE(lab_.agent().says("connected")) << lab_.agent().output();
    sleep_ms(1200);
    expect(findings(), "ns while the agent was not running");
}

class DeviceComing : public GuardTest {
protected:
    // A window of an hour: whatever is seen is not seen at its end.
    void SetUp() override {
        std::string config =
            lab_.agent_config("[[device]]\nname = \"late\"\nnode = \"" + node() + "\"\n");
        size_t at = config.find("window_seconds = 1");
        lab_.write("tallyd.toml", config.replace(at, 18, "window_seconds = 3600"));
        lab_.start_collector();
        lab_.start_agent();
        EXPECT_TRUE(lab_.agent().says("connected")) << lab_.agent().output();
    }
    std::string node() const { return lab_.path("late"); }
    void appear() { ASSERT_EQ(mknod(node().c_str(), S_IFCHR | 0600, makedev(1, 7)), 0); }
    // As the kernel would say it if the node were of a driver's making.
    static void uevent(const char *action) {
        ASSERT_TRUE(write_to("/sys/class/mem/full/uevent", action));
    }
};

TEST_F(DeviceComing, IsSeenAtOnceAndSoIsItsGoing) {
    appear();
    uevent("add");
    EXPECT_TRUE(lab_.agent().says("device added: node:late", 1000)) << lab_.agent().output();
    unlink(node().c_str());
    uevent("remove");
    EXPECT_TRUE(lab_.agent().says("device removed: node:late", 1000)) << lab_.agent().output();
    std::string found = findings();
    expect(found, "device added: node:late");
    expect(found, "device removed: node:late");
}

TEST_F(DeviceComing, IsSeenThoughUeventsWereLost) {
    kill(lab_.agent().pid(), SIGSTOP);
    for (int i = 0; i < 3000; i++) // far more than its socket holds
        uevent("change");
    appear();
    uevent("add"); // lost
    kill(lab_.agent().pid(), SIGCONT);
    EXPECT_TRUE(lab_.agent().says("device added: node:late", 1000)) << lab_.agent().output();
    findings();
}

TEST_F(DeviceComing, OtherProcessesAreNotTheKernel) {
    appear();
    Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT));
    sockaddr_nl everyone = {};
    everyone.nl_family = AF_NETLINK;
    everyone.nl_groups = 1;
    using std::string_view_literals::operator""sv;
    std::string_view forged = "add@/x\0ACTION=add\0DEVPATH=/x\0SUBSYSTEM=pci\0"sv;
    ASSERT_EQ(sendto(socket.get(), forged.data(), forged.size(), 0,
                     reinterpret_cast<sockaddr *>(&everyone), sizeof(everyone)),
              static_cast<ssize_t>(forged.size()));
    EXPECT_FALSE(lab_.agent().says("device added", 800)) << lab_.agent().output();
    uevent("add");
    EXPECT_TRUE(lab_.agent().says("device added: node:late", 1000)) << lab_.agent().output();
    findings();
}

} // namespace
} // namespace tally
