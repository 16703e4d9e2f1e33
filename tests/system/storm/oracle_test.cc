// The oracle itself, on histories written by hand: what it allows is exactly what was proven and
// what the rung promises. Times are in milliseconds.
#include "tests/system/storm/oracle.h"

#include <gtest/gtest.h>
#include <memory>
#include <sys/mman.h>

namespace tally::storm {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint16_t kHere = 0;
constexpr uint16_t kThere = 1;
constexpr uint64_t kGap = 100; // between scans
constexpr uint64_t kEnd = 100'000;

// A journal that is written line by line. Process `n` has process number `n`.
class Script {
public:
    Script()
        : journal_(
              static_cast<Journal *>(mmap(nullptr, sizeof(Journal), PROT_READ | PROT_WRITE,
                                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {
        journal_->actors.store(1);
    }
    ~Script() { munmap(journal_, sizeof(Journal)); }
    Script(const Script &) = delete;
    Script &operator=(const Script &) = delete;

    // `after` 0: the call did not return.
    Record &line(Kind kind, uint32_t actor, uint64_t before, uint64_t after) {
        Record &record = journal_->record[journal_->records.fetch_add(1) + 1];
        record.kind = kind;
        record.actor = actor;
        record.before.store(before * kMs);
        record.after.store(after * kMs);
        record.done = after != 0;
        return record;
    }
    uint32_t fork(uint32_t parent, uint16_t cgroup, uint64_t before, uint64_t after) {
        uint32_t child = journal_->actors.fetch_add(1);
        journal_->actor[child].pid.store(static_cast<int32_t>(child));
        Record &record = line(Kind::kFork, parent, before, after);
        record.target = child;
        record.cgroup = cgroup;
        line(Kind::kBorn, child, after, after);
        return child;
    }
    uint32_t process(uint16_t cgroup) { return fork(0, cgroup, 1, 2); }
    Record &with_file(Kind kind, uint32_t actor, uint64_t before, uint64_t after, int fd,
                      uint32_t file) {
        Record &record = line(kind, actor, before, after);
        record.fd = fd;
        record.file = file;
        return record;
    }
    void migrate(uint32_t actor, uint16_t cgroup, uint64_t before, uint64_t after) {
        Record &record = line(Kind::kMigrate, 0, before, after);
        record.target = actor;
        record.cgroup = cgroup;
    }
    void kill(uint32_t actor, uint64_t before, uint64_t seen_dead) {
        line(Kind::kKill, 0, before, before).target = actor;
        line(Kind::kDeath, 0, seen_dead, seen_dead).target = actor;
    }
    uint64_t send(uint32_t actor, uint64_t before, uint64_t after, int fd, uint32_t file) {
        Record &record = with_file(Kind::kSend, actor, before, after, fd, file);
        record.message = journal_->records.load();
        return record.message;
    }
    void receive(uint32_t actor, uint64_t before, uint64_t after, int fd, uint32_t file,
                 uint64_t message) {
        with_file(Kind::kReceive, actor, before, after, fd, file).message = message;
    }
    History history() const { return reconstruct(*journal_); }

private:
    Journal *journal_;
};

// Least and most held by a cgroup between two instants, in microseconds.
std::pair<uint64_t, uint64_t> held(const Script &script, pb::Rung rung, uint16_t cgroup,
                                   uint64_t from = 0, uint64_t to = kEnd) {
    History history = script.history();
    ScanGaps gaps({{0, kEnd * kMs, kGap * kMs}});
    Bounds bounds = Oracle(history, gaps, {rung, 0, 0}).held(cgroup, 0);
    return {bounds.least.length(from * kMs, to * kMs) / 1000,
            bounds.most.length(from * kMs, to * kMs) / 1000};
}

using Range = std::pair<uint64_t, uint64_t>;

TEST(StormOracle, EdgesAreWidenedByWhatTheRungPromises) {
    Script script;
    uint32_t process = script.process(kHere);
    script.with_file(Kind::kOpen, process, 1000, 1003, 5, 1);
    script.with_file(Kind::kClose, process, 2000, 2005, 5, 1);
    script.kill(process, 3000, 3001);
    EXPECT_EQ(held(script, pb::RUNG_EXACT, kHere), Range(995'000, 1'007'000));
    EXPECT_EQ(held(script, pb::RUNG_TRACED, kHere), Range(995'000, 1'107'000));
    EXPECT_EQ(held(script, pb::RUNG_SCANNED, kHere), Range(895'000, 1'107'000));
    EXPECT_EQ(held(script, pb::RUNG_EXACT, kThere), Range(0, 0));
}

TEST(StormOracle, TheLastDescriptorCountsNotTheFirst) {
    Script script;
    uint32_t process = script.process(kHere);
    script.with_file(Kind::kOpen, process, 1000, 1000, 5, 1);
    script.with_file(Kind::kCopy, process, 1100, 1100, 5, 1).other_fd = 6;
    script.with_file(Kind::kClose, process, 1200, 1200, 5, 1);
    script.with_file(Kind::kOpen, process, 1900, 1900, 7, 2);
    script.with_file(Kind::kCopy, process, 2000, 2000, 7, 2).other_fd = 6; // over the other file
    script.with_file(Kind::kClose, process, 2100, 2100, 6, 2);
    script.with_file(Kind::kClose, process, 2200, 2200, 7, 2);
    script.kill(process, 3000, 3000);
    EXPECT_EQ(held(script, pb::RUNG_EXACT, kHere), Range(1'198'000, 1'202'000));
    History history = script.history();
    ASSERT_EQ(history.stays.size(), 2U);
    EXPECT_EQ(history.stays[0].end.latest, 2000 * kMs);
    EXPECT_EQ(history.stays[1].end.latest, 2200 * kMs);
}

TEST(StormOracle, DeathEndsWhatWasHeldSomewhereBeforeItWasSeen) {
    Script script;
    uint32_t process = script.process(kHere);
    script.with_file(Kind::kOpen, process, 1000, 1000, 5, 1);
    script.with_file(Kind::kOpen, process, 2000, 0, 0, 2).device = 1; // killed in mid-call
    script.kill(process, 1990, 2300); // the killer's clock was read early
    EXPECT_EQ(held(script, pb::RUNG_EXACT, kHere), Range(998'000, 1'302'000));
    History history = script.history();
    ScanGaps gaps({});
    Oracle oracle(history, gaps, {pb::RUNG_EXACT});
    EXPECT_EQ(oracle.held(kHere, 1).least.length(0, kEnd * kMs), 0U);
    EXPECT_EQ(oracle.held(kHere, 1).most.length(0, kEnd * kMs), 302 * kMs);
    EXPECT_EQ(oracle.opens(kHere, 1).least, 0U);
    EXPECT_EQ(oracle.opens(kHere, 1).most, 1U);
}

TEST(StormOracle, ExecClosesWhatIsCloseOnExec) {
    Script script;
    uint32_t process = script.process(kHere);
    script.with_file(Kind::kOpen, process, 1000, 1000, 5, 1).close_on_exec = 1;
    script.line(Kind::kExec, process, 1500, 1520);
    script.kill(process, 3000, 3000);
    EXPECT_EQ(held(script, pb::RUNG_EXACT, kHere), Range(498'000, 522'000));
}

TEST(StormOracle, AChildHoldsOnAndScansKnowItAtOnceInTheSameCgroup) {
    Script script;
    uint32_t parent = script.process(kHere);
    script.with_file(Kind::kOpen, parent, 1000, 1000, 5, 1);
    uint32_t child = script.fork(parent, kHere, 1500, 1500);
    script.with_file(Kind::kClose, parent, 1501, 1501, 5, 1);
    script.kill(child, 2000, 2000);
    script.kill(parent, 3000, 3000);
    EXPECT_EQ(held(script, pb::RUNG_EXACT, kHere), Range(998'000, 1'002'000));
    EXPECT_EQ(held(script, pb::RUNG_SCANNED, kHere), Range(898'000, 1'102'000));
}

TEST(StormOracle, AChildBornElsewhereAndAMigrationMoveTheHold) {
    Script script;
    uint32_t parent = script.process(kHere);
    script.with_file(Kind::kOpen, parent, 1000, 1000, 5, 1);
    uint32_t child = script.fork(parent, kThere, 1500, 1510);
    script.kill(parent, 2000, 2000);
    script.migrate(child, kHere, 3000, 3010);
    script.kill(child, 4000, 4000);
    EXPECT_EQ(held(script, pb::RUNG_EXACT, kThere), Range(1'488'000, 1'512'000));
    EXPECT_EQ(held(script, pb::RUNG_EXACT, kHere, 0, 2500), Range(998'000, 1'002'000));
    EXPECT_EQ(held(script, pb::RUNG_EXACT, kHere, 2500, kEnd), Range(988'000, 1'002'000));
}

TEST(StormOracle, AFileInFlightIsTheLastHoldersOnExactRungsOnly) {
    Script script;
    uint32_t sender = script.process(kHere);
    uint32_t receiver = script.process(kThere);
    script.with_file(Kind::kOpen, sender, 1000, 1000, 5, 1);
    uint64_t message = script.send(sender, 1500, 1500, 5, 1);
    script.with_file(Kind::kClose, sender, 1600, 1600, 5, 1);
    script.receive(receiver, 5000, 5000, 9, 1, message);
    script.kill(receiver, 6000, 6000);
    script.kill(sender, 7000, 7000);
    EXPECT_EQ(held(script, pb::RUNG_EXACT, kHere), Range(3'998'000, 4'002'000));
    EXPECT_EQ(held(script, pb::RUNG_EXACT, kThere), Range(998'000, 1'002'000));
    EXPECT_EQ(held(script, pb::RUNG_TRACED, kHere), Range(598'000, 702'000));
}

TEST(StormOracle, AFlightThatEndsInNothingReleases) {
    Script script;
    uint32_t sender = script.process(kHere);
    script.with_file(Kind::kOpen, sender, 1000, 1000, 5, 1);
    script.send(sender, 1500, 1500, 5, 1);
    script.kill(sender, 1600, 1600);
    script.line(Kind::kDrain, 0, 4000, 4002);
    EXPECT_EQ(held(script, pb::RUNG_EXACT, kHere), Range(2'998'000, 3'004'000));
}

TEST(StormOracle, OnlyAReopenedHoldMayBeSettledLate) {
    for (uint64_t reopened : {2050, 2400}) {
        Script script;
        uint32_t process = script.process(kHere);
        script.with_file(Kind::kOpen, process, 1000, 1000, 5, 1);
        uint32_t other = script.fork(process, kThere, 1500, 1500); // keeps the file alive
        script.with_file(Kind::kClose, process, 2000, 2000, 5, 1);
        script.with_file(Kind::kOpen, process, reopened, reopened, 6, 2);
        script.kill(process, 3000, 3000);
        script.kill(other, 9000, 9000);
        uint64_t gap = reopened == 2050 ? 0 : reopened - 2000;
        auto [least, most] = held(script, pb::RUNG_EXACT, kHere);
        EXPECT_EQ(least, (1000 + 3000 - reopened - 4) * 1000) << reopened;
        EXPECT_EQ(most, (2000 - gap + (gap == 0 ? 2 : 4)) * 1000) << reopened;
    }
}

TEST(StormOracle, AFlightLostToAnotherMayBeSettledLateToo) {
    Script script;
    uint32_t sender = script.process(kHere);
    uint32_t receiver = script.process(kThere);
    script.with_file(Kind::kOpen, sender, 1000, 1000, 5, 1);
    uint64_t message = script.send(sender, 1100, 1100, 5, 1);
    script.with_file(Kind::kClose, sender, 1200, 1200, 5, 1);
    script.receive(receiver, 1500, 1500, 9, 1, message);
    script.with_file(Kind::kOpen, sender, 1550, 1550, 6, 2);
    script.kill(sender, 2000, 2000);
    script.kill(receiver, 3000, 3000);
    EXPECT_EQ(held(script, pb::RUNG_EXACT, kHere), Range(946'000, 1'002'000));
}

TEST(StormOracle, WhatWasInFlightBeforeRecordingBeganNobodyKnows) {
    Script script;
    uint32_t sender = script.process(kHere);
    script.with_file(Kind::kOpen, sender, 1000, 1000, 5, 1);
    script.send(sender, 1100, 1100, 5, 1);
    script.kill(sender, 1200, 1200);
    script.line(Kind::kDrain, 0, 4000, 4000);
    History history = script.history();
    ScanGaps gaps({});
    Bounds bounds = Oracle(history, gaps, {pb::RUNG_EXACT, 2000 * kMs, 2010 * kMs}).held(kHere, 0);
    EXPECT_EQ(bounds.least.length(2000 * kMs, kEnd * kMs), 0U);
    EXPECT_EQ(bounds.most.length(2000 * kMs, kEnd * kMs), 0U);
}

TEST(StormOracle, OneScanIsWhatTheLogAttestsAtThatTime) {
    ScanGaps gaps({{0, 1000, 10}, {1000, 2000, 15}, {2000, 5000, 2500}, {5000, 6000, 10}});
    EXPECT_EQ(gaps.after(500), 10U);
    EXPECT_EQ(gaps.after(995), 15U);    // the scan may be the next window's
    EXPECT_EQ(gaps.after(1990), 2500U); // a dead agent's
    EXPECT_EQ(gaps.after(5500), 10U);
}

} // namespace
} // namespace tally::storm
