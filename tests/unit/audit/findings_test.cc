// What verifies may still need an auditor's eye: each kind of finding, and nothing else.
#include "base/text.h"
#include "tests/unit/audit/rig.h"

#include <sys/sysmacros.h>

namespace tally {

namespace {

constexpr uint64_t kSecond = TestHost::kSecond;

class FindingsAudit : public Audit {
protected:
    std::vector<std::string> lines() const {
        log.publish();
        return lines_of(account().findings);
    }
    HostCoverage coverage_of_gpu1() const {
        log.publish();
        return account().coverage.hosts().at("gpu1.example");
    }
};

TEST_F(FindingsAudit, AnUnbrokenRecordHasNone) {
    say_changed(gpu1, [](pb::Statement &statement) {
        statement.add_events()->set_kind(pb::Event::KIND_AGENT_START);
    });
    say(gpu1);
    say_changed(gpu1, [](pb::Statement &statement) {
        statement.add_events()->set_kind(pb::Event::KIND_AGENT_STOP);
    });
    EXPECT_EQ(lines(), std::vector<std::string>());
    EXPECT_EQ(tally("verify " + log.directory()).status, 0);
    EXPECT_EQ(tally("report " + log.directory()).status, 0);
}

TEST_F(FindingsAudit, AnAgentThatWasNotRecordingLeavesAGap) {
    say(gpu1);
    pb::Statement statement = gpu1.next();
    statement.mutable_recording()->set_since_boottime_ns(statement.window().begin_boottime_ns() +
                                                         3 * kSecond);
    log.append(gpu1.attest(statement));
    std::string from = utc_time(statement.window().begin_wall_ns());
    EXPECT_EQ(lines(), std::vector<std::string>{"gap: 3.000 s from " + from +
                                                " not covered: the agent was not recording"});
    HostCoverage host = coverage_of_gpu1();
    EXPECT_EQ(host.covered_ns, 17 * kSecond);
    EXPECT_EQ(host.uncovered_ns, 3 * kSecond);
    EXPECT_EQ(percent(host.covered_ns, host.uncovered_ns), "85.00 %");
    EXPECT_EQ(tally("verify " + log.directory()).status, 1);
    EXPECT_EQ(tally("report " + log.directory() + " --csv").status, 1);
}

TEST_F(FindingsAudit, AGapOfAShortRestartLowersCoverageAlone) {
    say(gpu1);
    say_changed(gpu1, [](pb::Statement &statement) {
        statement.mutable_recording()->set_since_boottime_ns(
            statement.window().begin_boottime_ns() + 1'000'000);
    });
    EXPECT_EQ(lines(), std::vector<std::string>());
    HostCoverage host = coverage_of_gpu1();
    EXPECT_EQ(host.uncovered_ns, 1'000'000U);
    EXPECT_EQ(percent(host.covered_ns, host.uncovered_ns), "99.99 %");
}

TEST_F(FindingsAudit, TimeBetweenTwoBootsIsAGap) {
    say(gpu1, 2);
    pb::Window last = statement_in(log.entries().back()).window();
    gpu1.reboot(7200 * kSecond);
    say(gpu1, 2);
    EXPECT_EQ(lines(),
              (std::vector<std::string>{
                  "gap: 2 h 00 min 00 s from " + utc_time(last.end_wall_ns()) +
                      " not covered: between two boots",
                  "coverage: only 0.55 % of its time is covered; 2 h 00 min 00 s are not"}));
    HostCoverage host = coverage_of_gpu1();
    EXPECT_EQ(host.boots, 2U);
    EXPECT_EQ(host.covered_ns, 40 * kSecond);
    EXPECT_EQ(host.uncovered_ns, 7200 * kSecond);
}

TEST_F(FindingsAudit, PartsOfOneWindowCoverItOnce) {
    pb::Statement whole = gpu1.next();
    whole.set_parts(2);
    log.append(gpu1.attest(whole));
    pb::Statement rest = gpu1.next();
    *rest.mutable_window() = whole.window();
    rest.set_part(1);
    rest.set_parts(2);
    log.append(gpu1.attest(rest));
    say(gpu1);
    EXPECT_EQ(lines(), std::vector<std::string>());
    HostCoverage host = coverage_of_gpu1();
    EXPECT_EQ(host.covered_ns, 20 * kSecond);
    EXPECT_EQ(host.last_sequence, 3U);
    EXPECT_EQ(account().usage.rows().at(0).second.windows, 2U);
}

TEST_F(FindingsAudit, AClockThatGoesBackBetweenWindowsIsFound) {
    say(gpu1);
    pb::Statement statement = gpu1.next();
    pb::Window &window = *statement.mutable_window();
    window.set_begin_wall_ns(window.begin_wall_ns() - 2 * kSecond);
    window.set_end_wall_ns(window.begin_wall_ns() + TestHost::kWindow);
    log.append(gpu1.attest(statement));
    EXPECT_EQ(lines(),
              std::vector<std::string>{"clock: wall clock went back 2.000 s between two windows, "
                                       "to " +
                                       utc_time(window.begin_wall_ns())});
}

TEST_F(FindingsAudit, AClockThatGoesBackWithinAWindowIsFound) {
    for (uint64_t back : {5 * kSecond, 15 * kSecond}) {
        say_changed(gpu1, [&](pb::Statement &statement) {
            pb::Window &window = *statement.mutable_window();
            window.set_end_wall_ns(window.begin_wall_ns() + TestHost::kWindow - back);
        });
    }
    std::vector<std::string> found = lines();
    ASSERT_EQ(found.size(), 2U);
    EXPECT_TRUE(found[0].starts_with("clock: wall clock went back 5.000 s within the window from"));
    EXPECT_TRUE(found[1].starts_with("clock: wall clock went back 15.000 s within the window"));
}

TEST_F(FindingsAudit, AClockThatIsSlewedIsNotWorthALine) {
    say_changed(gpu1, [](pb::Statement &statement) {
        pb::Window &window = *statement.mutable_window();
        window.set_end_wall_ns(window.end_wall_ns() - 5'000'000);
    });
    EXPECT_EQ(lines(), std::vector<std::string>());
}

TEST_F(FindingsAudit, LossesOfOnePlaceAreOneFinding) {
    for (uint64_t count : {5, 7}) {
        say_changed(gpu1, [&](pb::Statement &statement) {
            pb::Loss &loss = *statement.mutable_recording()->add_losses();
            loss.set_place("usage map full");
            loss.set_count(count);
        });
    }
    say(gpu1);
    EXPECT_EQ(lines(), std::vector<std::string>{"loss: 12 lost: usage map full, in 2 statements"});
}

TEST_F(FindingsAudit, UseWithoutATenantIsOneFindingForEachCgroup) {
    for (const char *path : {"/system.slice/a", "/system.slice/a", ""}) {
        say_changed(gpu1, [&](pb::Statement &statement) {
            statement.mutable_workloads(0)->clear_tenant();
            statement.mutable_workloads(0)->set_cgroup_path(path);
        });
    }
    EXPECT_EQ(lines(),
              (std::vector<std::string>{
                  "unattributed: no tenant for /system.slice/a, which held node:/dev/test0 for "
                  "8.000 s, in 2 statements",
                  "unattributed: no tenant for id:4711, which held node:/dev/test0 for 4.000 s, "
                  "in 1 statement"}));
}

TEST_F(FindingsAudit, WhoOpenedItIsSaidWheneverTheHostSaysSo) {
    for (const char *executable : {"", "odd\n", "later"}) {
        say_changed(gpu1, [&](pb::Statement &statement) {
            pb::Workload &workload = *statement.mutable_workloads(0);
            workload.clear_tenant();
            workload.set_cgroup_path("/a");
            if (*executable == 0)
                return; // its edge came late
            workload.mutable_opener()->set_executable(executable);
            workload.mutable_opener()->set_device(makedev(259, 1));
            workload.mutable_opener()->set_inode(1583);
            workload.mutable_opener()->set_user(1000);
        });
    }
    say_changed(gpu1, [](pb::Statement &statement) {
        statement.mutable_workloads(0)->clear_tenant();
        statement.mutable_workloads(0)->set_cgroup_path("/kthread");
        statement.mutable_workloads(0)->mutable_opener();
    });
    EXPECT_EQ(lines(), (std::vector<std::string>{
                           "unattributed: no tenant for /a, which held node:/dev/test0 for "
                           "12.000 s, in 3 statements; opened first by odd\\x0a (user 1000, file "
                           "259:1/1583)",
                           "unattributed: no tenant for /kthread, which held node:/dev/test0 for "
                           "4.000 s, in 1 statement; opened first by a thread of the kernel or a "
                           "process at its end (user 0)"}));
}

TEST_F(FindingsAudit, WhatTheAgentReportsIsFound) {
    say_changed(gpu1, [](pb::Statement &statement) {
        for (auto kind : {pb::Event::KIND_SPOOL_DAMAGED, pb::Event::KIND_SPOOL_FULL,
                          pb::Event::KIND_REFUSED, pb::Event::KIND_RECEIPT_INVALID}) {
            pb::Event &event = *statement.add_events();
            event.set_kind(kind);
            event.set_detail("why\n");
        }
    });
    EXPECT_EQ(lines(), (std::vector<std::string>{"event: spool damaged: why\\x0a",
                                                 "event: spool full: why\\x0a",
                                                 "event: attestation refused: why\\x0a",
                                                 "event: receipt invalid: why\\x0a"}));
}

TEST_F(FindingsAudit, WhoAskedTheAgentToStopIsRoutineAndWhoKilledItIsNot) {
    say_changed(gpu1, [](pb::Statement &statement) {
        for (const char *signal : {"SIGTERM", "SIGKILL"}) {
            pb::Event &event = *statement.add_events();
            event.set_kind(pb::Event::KIND_AGENT_SIGNALLED);
            event.set_detail(std::string(signal) + " from pid 1 (systemd) in /init.scope");
        }
    });
    EXPECT_EQ(lines(), std::vector<std::string>{
                           "tamper: agent signalled: SIGKILL from pid 1 (systemd) in /init.scope"});
}

TEST_F(FindingsAudit, WhatGoesOnForManyWindowsIsOneFinding) {
    for (int window = 0; window < 3; window++) {
        say_changed(gpu1, [](pb::Statement &statement) {
            pb::Event &event = *statement.add_events();
            event.set_kind(pb::Event::KIND_AGENT_TRACED);
            event.set_detail("by pid 7 (gdb)");
        });
    }
    EXPECT_EQ(lines(),
              std::vector<std::string>{"tamper: agent traced: by pid 7 (gdb), in 3 statements"});
}

TEST_F(FindingsAudit, WhatAProgramDoesTimeAndAgainIsOneFinding) {
    for (const std::string &detail :
         {std::string("pid 77 (bpftool) in /a"), std::string("pid 912 (bpftool) in /a"),
          std::string("pid 9 (bpftool) in /b"), std::string("pid "),
          std::string(2000, 'x') + "pid 1", std::string(2000, 'x') + "pid 2"}) {
        say_changed(gpu1, [&](pb::Statement &statement) {
            pb::Event &event = *statement.add_events();
            event.set_kind(pb::Event::KIND_FOREIGN_BPF);
            event.set_detail(detail);
        });
    }
    std::string what = "tamper: foreign use of our BPF objects: ";
    EXPECT_EQ(lines(),
              (std::vector<std::string>{
                  what + "pid 77 and others (bpftool) in /a, in 2 statements",
                  what + "pid 9 (bpftool) in /b", what + "pid ",
                  what + std::string(1024 - what.size() + std::string("tamper: ").size(), 'x') +
                      "..., in 2 statements"}));
}

TEST_F(FindingsAudit, AFindingNamesItsPlace) {
    say(gpu2, 2);
    say(gpu1);
    say_changed(gpu1, [](pb::Statement &statement) {
        statement.add_events()->set_kind(pb::Event::KIND_REFUSED);
    });
    log.publish();
    Account taken = account();
    ASSERT_EQ(taken.findings.size(), 1U);
    EXPECT_EQ(taken.findings[0].index, 3U);
    EXPECT_EQ(taken.findings[0].host, "gpu1.example");
    EXPECT_EQ(taken.findings[0].sequence, 2U);
    EXPECT_NE(verification_text(taken).find(
                  "finding: event: gpu1.example, sequence 2, log index 3: attestation refused: \n"),
              std::string::npos)
        << verification_text(taken);
}

} // namespace

} // namespace tally
