// Many threads, one order: what walk() hands out and what it refuses do not depend on who was
// first.
#include "tests/unit/audit/rig.h"

namespace tally {

namespace {

class WalkAudit : public Audit {
protected:
    std::string problem_with(unsigned threads) const {
        auto source = Source::open(log.directory());
        WalkOptions options;
        options.threads = threads;
        auto verified = walk(
            *source, trust(), [](const Entry &) {}, options);
        return verified ? "verified" : verified.error().message;
    }
};

TEST_F(WalkAudit, EntriesComeInTheLogsOrder) {
    for (int i = 0; i < 350; i++) {
        say(gpu1);
        say(gpu2);
    }
    log.publish();
    for (unsigned threads : {1U, 2U, 7U}) {
        auto source = Source::open(log.directory());
        WalkOptions options;
        options.threads = threads;
        uint64_t expected = 0;
        uint64_t done = 0;
        options.progress = [&](uint64_t now, uint64_t size) {
            EXPECT_EQ(size, 700U);
            EXPECT_GT(now, done);
            done = now;
        };
        auto verified = walk(
            *source, trust(), [&](const Entry &entry) { EXPECT_EQ(entry.index, expected++); },
            options);
        ASSERT_TRUE(verified);
        EXPECT_EQ(expected, 700U);
        EXPECT_EQ(done, 700U);
    }
}

TEST_F(WalkAudit, TheFirstFaultInTheLogIsTheOneThatIsNamed) {
    say(gpu1, 900);
    log.entries()[830].back() ^= 1;
    log.entries()[300].back() ^= 1;
    log.publish();
    std::string found = problem_with(1);
    EXPECT_NE(found.find("log index 300: "), std::string::npos) << found;
    EXPECT_EQ(problem_with(2), found);
    EXPECT_EQ(problem_with(8), found);
}

TEST_F(WalkAudit, ProgressIsSaidWhereItIsAskedFor) {
    say(gpu1, 300);
    log.publish();
    EXPECT_EQ(tally("verify " + log.directory()).errors, ""); // no terminal
    Outcome asked = tally("verify --progress --threads 2 " + log.directory());
    EXPECT_EQ(asked.status, 0);
    EXPECT_NE(asked.errors.find("\rverified 256 of 300 attestations, 85.3 %"), std::string::npos)
        << asked.errors;
    EXPECT_TRUE(asked.errors.ends_with("\rverified 300 of 300 attestations, 100.0 %\n"));
}

TEST_F(WalkAudit, AHostThatSaysATenThousandTroublesFillsNoMemory) {
    Found found;
    Opened opened;
    opened.statement.set_host("gpu1.example");
    Devices devices;
    Place place;
    for (uint64_t i = 1; i <= 10'000; i++) {
        opened.statement.set_sequence(i);
        found.add({i, opened, devices, place}, "gap", "number " + std::to_string(i));
        found.repeat({i, opened, devices, place}, "event", std::to_string(i),
                     [](const std::string &subject, const Found::Repeated &) { return subject; });
    }
    std::vector<Finding> all = found.all();
    ASSERT_EQ(all.size(), 2000U);
    EXPECT_EQ(all[1998].text, "number 1000; and 9000 more of this kind");
    EXPECT_EQ(all[1999].text, "1000; and 9000 more of this kind");
}

} // namespace

} // namespace tally
