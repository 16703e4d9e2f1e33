// Going on from what was verified before: the same account as from the beginning, and a log that
// was rewritten underneath is caught.
#include "audit/state.h"
#include "tests/unit/audit/rig.h"

#include <filesystem>

namespace tally {

namespace {

class StateAudit : public Audit {
protected:
    Result<Account> since() const {
        auto source = Source::open(log.directory());
        return take_account_since(*source, trust(), state);
    }
    // One more step of the log: now and then something to find, in a chain that goes on.
    void grow(int step) {
        say(gpu1, 37);
        say(gpu2, static_cast<size_t>(5 * step));
        say_changed(gpu1, [&](pb::Statement &statement) {
            if (step == 2)
                statement.mutable_usage(0)->set_held_ns(TestHost::kWindow + 1);
        });
        if (step == 3)
            gpu2.reboot(30 * TestHost::kSecond);
        if (step == 4)
            gpu1.attest(); // withheld
        log.publish();
    }
    std::string without_notes(Account account) const {
        account.log.notes.clear();
        return verification_text(account);
    }

    std::string state = keys.path("state");
};

TEST_F(StateAudit, StepByStepIsTheSameAsAllAtOnce) {
    for (int step = 1; step <= 12; step++) {
        grow(step);
        auto stepwise = since();
        ASSERT_TRUE(stepwise) << "step " << step << ": " << stepwise.error().message;
        EXPECT_EQ(without_notes(*stepwise), without_notes(account())) << "step " << step;
        EXPECT_EQ(stepwise->log.notes.size(), step == 1 ? 0U : 1U);
    }
    EXPECT_GT(log.entries().size(), 512U);   // over bundles and into a second level
    EXPECT_EQ(since()->findings.size(), 3U); // nothing new: all is said again
}

TEST_F(StateAudit, OnlyWhatIsNewIsVerified) {
    say(gpu1, 600);
    log.publish();
    ASSERT_TRUE(since());
    // A full bundle that lies before is not read again; one that lies behind is.
    Bytes bundle = read_all(path("tile/entries/000"));
    bundle[100] ^= 1;
    write_all(path("tile/entries/000"), bundle);
    say(gpu1, 300);
    EXPECT_TRUE(since());
    EXPECT_EQ(tally("verify " + log.directory()).status, 2);
}

TEST_F(StateAudit, ALogThatWasRewrittenIsCaught) {
    say(gpu1, 300);
    log.publish();
    ASSERT_TRUE(since());
    // The operator drops the last entry of another history, and signs and publishes what comes out.
    Bytes dropped = log.entries()[20];
    log.entries().erase(log.entries().begin() + 20);
    say(gpu2, 30);
    for (const std::string &name : files())
        std::filesystem::remove(path(name));
    log.publish();
    auto rewritten = since();
    ASSERT_FALSE(rewritten);
    EXPECT_NE(rewritten.error().message.find("the log was rewritten"), std::string::npos)
        << rewritten.error().message;
    EXPECT_EQ(tally("verify --state " + state + " " + log.directory()).status, 2);
}

TEST_F(StateAudit, ALogThatWasRolledBackIsCaught) {
    say(gpu1, 30);
    log.publish();
    ASSERT_TRUE(since());
    log.entries().resize(20);
    for (const std::string &name : files())
        std::filesystem::remove(path(name));
    log.publish();
    auto rolled = since();
    ASSERT_FALSE(rolled);
    EXPECT_NE(rolled.error().message.find("the log was rolled back"), std::string::npos)
        << rolled.error().message;
}

TEST_F(StateAudit, AForkAndAReplayOfWhatCameBeforeAreStillFound) {
    say(gpu1, 3);
    log.publish();
    ASSERT_TRUE(since());
    log.append(log.entries()[2]);
    TestHost clone = keys.host("gpu1.example");
    say(clone);
    log.publish();
    auto account = since();
    ASSERT_TRUE(account);
    EXPECT_EQ(lines_of(account->findings),
              (std::vector<std::string>{
                  "replay: the attestation at log index 2 once more",
                  "fork: sequence 1 was signed twice: the other is far back in the log"}));
}

TEST_F(StateAudit, ADamagedOrForeignStateIsRefused) {
    say(gpu1, 3);
    log.publish();
    ASSERT_TRUE(since());
    Bytes good = read_all(state);
    for (size_t at = 0; at < good.size(); at += 11) {
        Bytes damaged = good;
        damaged[at] ^= 1;
        write_all(state, damaged);
        EXPECT_FALSE(since()) << at;
    }
    write_all(state, Bytes());
    EXPECT_FALSE(since());
    auto parsed = load_state(keys.path("none"));
    ASSERT_TRUE(parsed);
    EXPECT_FALSE(parsed->has_value());
}

} // namespace

} // namespace tally
