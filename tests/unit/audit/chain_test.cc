// Each host's chain is judged again from the log alone, whatever the collector let in: what is not
// signed, or cannot be read, makes the log fail; what a host signed is shown, and is a finding.
#include "attest/dsse.h"
#include "base/text.h"
#include "tests/unit/audit/rig.h"

namespace tally {

namespace {

class ChainAudit : public Audit {
protected:
    // "LOG/tile/entries/000.p/N: log index I: REST" of a log whose fault is at I.
    std::string fault(size_t index) const {
        std::string place = path("tile/entries/000.p/" + std::to_string(log_size_)) +
                            ": log index " + std::to_string(index) + ": ";
        std::string found = problem();
        return found.starts_with(place) ? found.substr(place.size()) : "elsewhere: " + found;
    }
    using Lines = std::vector<std::string>;
    Lines found() {
        log.publish();
        return lines_of(account().findings);
    }
    uint64_t held_ms() const {
        uint64_t held = 0;
        for (const auto &[key, sum] : account().usage.rows())
            held += sum.held_ns / 1'000'000;
        return held;
    }
    TestHost gpu1_again() const { return keys.host("gpu1.example"); }
    void publish() {
        log.publish();
        log_size_ = log.entries().size();
    }

private:
    size_t log_size_ = 0;
};

TEST_F(ChainAudit, AnEmptyLogVerifies) {
    log.publish();
    EXPECT_EQ(problem(), "verified");
}

TEST_F(ChainAudit, HostsChainsMayMixInAnyOrder) {
    say(gpu1, 3);
    say(gpu2, 5);
    say(gpu1, 2);
    publish();
    EXPECT_EQ(problem(), "verified");
}

TEST_F(ChainAudit, ASkippedAttestationIsAFindingWithItsTime) {
    say(gpu1, 2);
    std::string from = utc_time(statement_in(log.entries()[1]).window().end_wall_ns());
    gpu1.attest(); // never logged
    say(gpu1);
    EXPECT_EQ(found(),
              Lines{"gap: sequence 3 is not in the log; 10.000 s from " + from + " not covered"});
}

TEST_F(ChainAudit, SwappedEntriesAreAGapThatIsFilledLate) {
    say(gpu1, 4);
    std::swap(log.entries()[1], log.entries()[2]);
    Lines lines = found();
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_TRUE(lines[0].starts_with("gap: sequence 2 is not in the log")) << lines[0];
    EXPECT_EQ(lines[1], "order: sequence 2 lies behind later ones");
    EXPECT_EQ(held_ms(), 4 * TestHost::kHeld / 1'000'000); // it counts all the same
}

TEST_F(ChainAudit, ARepeatedAttestationIsAReplayAndCountsOnce) {
    say(gpu1, 3);
    log.append(log.entries()[1]);
    EXPECT_EQ(found(), Lines{"replay: the attestation at log index 1 once more"});
    EXPECT_EQ(held_ms(), 3 * TestHost::kHeld / 1'000'000);
}

TEST_F(ChainAudit, AForkNamesBothStatementsAndCountsTheFirst) {
    say(gpu1, 2);
    TestHost twin = keys.host("gpu1.example");
    say(twin, 2);
    say(gpu1);
    EXPECT_EQ(
        found(),
        Lines{"fork: sequence 1 was signed twice: the other is at log index 0, in 2 statements"});
    EXPECT_EQ(held_ms(), 3 * TestHost::kHeld / 1'000'000);
}

TEST_F(ChainAudit, AStatementThatFollowsAnotherThanTheLogsIsAFork) {
    say(gpu1, 2);
    say_changed(gpu1, [](pb::Statement &statement) { statement.mutable_previous()->back() ^= 1; });
    EXPECT_EQ(found(),
              Lines{"fork: follows another sequence 2 than the log's, which is at log index 1"});
}

TEST_F(ChainAudit, WhatFillsAGapMustBeWhatItsSuccessorNames) {
    say(gpu1, 1);
    TestHost twin = gpu1_again();
    twin.attest(statement_in(log.entries()[0]));
    gpu1.attest(); // never logged
    say(gpu1);
    say_changed(twin, [](pb::Statement &statement) { statement.mutable_usage(0)->set_opens(7); });
    Lines lines = found();
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_TRUE(lines[1].starts_with("fork: sequence 2 was signed twice")) << lines[1];
}

TEST_F(ChainAudit, AMissingPartIsAGap) {
    say_changed(gpu1, [](pb::Statement &statement) { statement.set_parts(2); });
    say(gpu1);
    EXPECT_EQ(found(), Lines{"gap: part 2 of 2 of the window before is missing"});
}

TEST_F(ChainAudit, AWindowThatBeginsLateIsAGapHoweverShort) {
    say(gpu1);
    say_changed(gpu1, [](pb::Statement &statement) {
        pb::Window &window = *statement.mutable_window();
        window.set_begin_boottime_ns(window.begin_boottime_ns() + 1'000'000);
    });
    Lines lines = found();
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_TRUE(lines[0].starts_with("gap: 0.001 s from ")) << lines[0];
    EXPECT_TRUE(lines[0].ends_with(" not covered: no window tells of it")) << lines[0];
}

TEST_F(ChainAudit, ATimeThatIsToldTwiceIsAnOverclaim) {
    say(gpu1);
    say_changed(gpu1, [](pb::Statement &statement) {
        pb::Window &window = *statement.mutable_window();
        window.set_begin_boottime_ns(window.begin_boottime_ns() - 3 * TestHost::kSecond);
        window.set_begin_wall_ns(window.begin_wall_ns() - 3 * TestHost::kSecond);
    });
    EXPECT_EQ(found(), Lines{"overclaim: the window begins 3.000 s before the one before it ended: "
                             "that time is told twice"});
}

TEST_F(ChainAudit, ImpossibleStatementsAreShownAsTheHostSignedThem) {
    say_changed(gpu1, [](pb::Statement &statement) {
        statement.mutable_usage(0)->set_held_ns(TestHost::kWindow + 1);
    });
    say_changed(gpu1, [](pb::Statement &statement) { statement.mutable_usage(0)->set_device(9); });
    say_changed(gpu1, [](pb::Statement &statement) {
        pb::Window &window = *statement.mutable_window();
        statement.clear_usage();
        window.set_end_boottime_ns(window.begin_boottime_ns());
        window.set_end_wall_ns(window.begin_wall_ns());
        statement.mutable_recording()->set_since_boottime_ns(1);
    });
    EXPECT_EQ(found(),
              (Lines{"overclaim: workload 0 on device 0: held 10000000001 ns in a window of "
                     "10000000000 ns",
                     "overclaim: usage of device 9, which is not in the inventory",
                     "overclaim: window ends before it begins"}));
}

TEST_F(ChainAudit, AKeyThatChangesIsAFinding) {
    say(gpu1, 2);
    TestKeys more(
        {"gpu1.example"}); // another key of the host's, of an authority that is trusted too
    TestHost renewed = more.host("gpu1.example");
    pb::Statement next = gpu1.next();
    *next.mutable_inventory() = statement_in(log.entries()[0]).inventory();
    Bytes certificate = more.certificate("gpu1.example");
    next.set_certificate(certificate.data(), certificate.size());
    log.append(renewed.attest(next));
    pb::Statement after = renewed.next(); // need not bring the certificate again
    after.set_boot_id(next.boot_id());
    log.append(renewed.attest(after));
    log.publish();
    write_all(keys.path("fleet-ca.pem"),
              view(keys.read("fleet-ca.pem") + more.read("fleet-ca.pem")));
    std::vector<std::string> lines = lines_of(account().findings);
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_EQ(lines[0], "key: signed by key " + key_id(renewed.key().verifying_key()) +
                            ", the chain before by key " + key_id(gpu1.key().verifying_key()));
}

TEST_F(ChainAudit, WhatCannotBeReadIsRefusedThoughItIsImpossibleToo) {
    say_changed(gpu1, [](pb::Statement &statement) {
        statement.mutable_usage(0)->set_held_ns(TestHost::kWindow + 1);
        statement.mutable_usage(0)->set_workload(5);
    });
    publish();
    EXPECT_EQ(fault(0), "host gpu1.example, sequence 1: workload 5 on device 0: no such workload");
}

TEST_F(ChainAudit, AnotherHostsKeyIsFound) {
    pb::Statement statement = gpu1.next();
    statement.set_certificate(gpu2.next().certificate());
    auto forged = dsse_seal(view(statement.SerializeAsString()), gpu2.key());
    ASSERT_TRUE(forged);
    log.append(*forged);
    publish();
    EXPECT_EQ(fault(0), "host gpu1.example, sequence 1: signing certificate does not name host "
                        "gpu1.example");
}

TEST_F(ChainAudit, AnotherFleetsHostIsFound) {
    TestKeys others({"gpu1.example"});
    TestHost stranger = others.host("gpu1.example");
    say(stranger);
    publish();
    EXPECT_TRUE(fault(0).starts_with("host gpu1.example, sequence 1: signing certificate: "))
        << fault(0);
}

TEST_F(ChainAudit, AKeyForTlsMaySignNoStatements) {
    auto key = SigningKey::from_pem(keys.read("hosts/gpu1.example/tls.key"));
    ASSERT_TRUE(key);
    TestHost wrong("gpu1.example", *std::move(key),
                   der_of(keys.read("hosts/gpu1.example/tls.pem")));
    say(wrong);
    publish();
    EXPECT_EQ(fault(0), "host gpu1.example, sequence 1: signing certificate: is not for signing "
                        "statements");
}

TEST_F(ChainAudit, ACertificateThatHadExpiredIsFound) {
    TestKeys expired({"gpu1.example"}, {"--expired"});
    TestHost late = expired.host("gpu1.example");
    log.append(late.attest());
    publish();
    auto trust = Trust::load(keys.path("log.vkeys"), expired.path("fleet-ca.pem"));
    auto source = Source::open(log.directory());
    ASSERT_TRUE(trust && source);
    auto walked = walk(*source, *trust, [](const Entry &) {});
    ASSERT_FALSE(walked);
    EXPECT_NE(walked.error().message.find("certificate has expired"), std::string::npos)
        << walked.error().message;
}

TEST_F(ChainAudit, NamesFromTheLogCannotForgeALine) {
    say_changed(gpu1, [](pb::Statement &statement) {
        statement.set_host("gpu1.example\n\x1b[2Jverified");
    });
    publish();
    EXPECT_EQ(fault(0),
              "host gpu1.example\\x0a\\x1b[2Jverified, sequence 1: host is not a DNS name");
}

TEST_F(ChainAudit, NoiseInsteadOfAnAttestationIsFound) {
    log.append(Bytes(100, 0xff));
    log.append({});
    publish();
    EXPECT_EQ(fault(0), "not a DSSE envelope");
}

TEST_F(ChainAudit, SixHundredAttestationsOfTwoHostsVerify) {
    for (int i = 0; i < 300; i++) {
        say(gpu1);
        say(gpu2);
    }
    publish();
    Account taken = account();
    EXPECT_EQ(taken.log.checkpoint.size, 600U);
    EXPECT_TRUE(taken.findings.empty());
    ASSERT_EQ(taken.coverage.hosts().size(), 2U);
    for (const auto &[name, host] : taken.coverage.hosts()) {
        EXPECT_EQ(host.first_sequence, 1U);
        EXPECT_EQ(host.last_sequence, 300U);
        EXPECT_EQ(host.covered_ns, 300 * TestHost::kWindow);
        EXPECT_EQ(host.uncovered_ns, 0U);
    }
    for (const auto &[key, sum] : taken.usage.rows())
        EXPECT_EQ(sum.held_ns, 300 * TestHost::kHeld) << key.host;
    EXPECT_EQ(tally("verify " + log.directory() + "/").status, 0);
}

} // namespace

} // namespace tally
