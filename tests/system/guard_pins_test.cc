// The pins that the recording outlives its agent by, taken away for real.
#include "tests/system/bpf_call.h"
#include "tests/system/guard_rig.h"

#include <csignal>

namespace tally {
namespace {

namespace fs = std::filesystem;

class GuardPins : public GuardTest {};

TEST_F(GuardPins, APinThatIsRemovedIsToldAndPutBack) {
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

TEST_F(GuardPins, APinThatLeadsElsewhereIsToldAndPutBack) {
    start();
    ASSERT_TRUE(fs::remove(map("holders")));
    ASSERT_TRUE(pin(open_pin(map("files")).get(), map("holders")));
    EXPECT_TRUE(told("pin removed: map holders: its pin led to something else; pinned again"))
        << lab_.agent().output();
    findings();
}

TEST_F(GuardPins, PinsThatAreGoneWhenTheNextAgentComesAreTold) {
    start();
    next_window();
    lab_.agent().stop(SIGKILL);
    for (const char *kind : {"hooks-", "maps-"}) {
        std::string set = pins_of(lab_, kind);
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

TEST_F(GuardPins, HooksWhosePinsAreGoneLeaveAHoleInTheRecord) {
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

TEST_F(GuardPins, AMapWhosePinIsGoneIsDoneWithout) {
    start();
    next_window();
    lab_.agent().stop(SIGKILL);
    EXPECT_EQ(unlink(map("usage").c_str()), 0);
    restart_agent();
    next_window();
    expect(findings(), "pin removed: map usage, while no agent ran");
}

} // namespace
} // namespace tally
