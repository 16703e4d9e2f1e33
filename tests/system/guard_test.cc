// What would blind the record, done for real to a real agent, and what the auditor then reads.
#include "tests/system/guard_rig.h"

#include <csignal>
#include <regex>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/wait.h>

namespace tally {
namespace {

// Steps the wall clock. Tests step it by so little that nobody else minds, and back.
bool step_clock(long milliseconds) {
    timex step = {};
    step.modes = ADJ_SETOFFSET | ADJ_NANO;
    long ns = milliseconds * 1'000'000;
    step.time.tv_sec = ns < 0 ? -1 : 0;
    step.time.tv_usec = ns < 0 ? ns + 1'000'000'000 : ns;
    return adjtimex(&step) >= 0;
}

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
    expect(findings(), "agent paused: for ");
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

} // namespace
} // namespace tally
