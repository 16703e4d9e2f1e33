// Each host's chain is judged again from the log alone, whatever the collector let in.
#include "tests/unit/audit/rig.h"

#include "attest/dsse.h"

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

TEST_F(ChainAudit, ASkippedAttestationIsNamedWithHostAndSequence) {
    say(gpu1, 2);
    gpu1.attest(); // never logged
    say(gpu1);
    publish();
    EXPECT_EQ(fault(2), "host gpu1.example, sequence 4: sequence 4 follows 2: 1 missing between "
                        "them");
}

TEST_F(ChainAudit, SwappedEntriesAreFound) {
    say(gpu1, 4);
    std::swap(log.entries()[1], log.entries()[2]);
    publish();
    EXPECT_TRUE(fault(1).starts_with("host gpu1.example, sequence 3: sequence 3 follows 1"))
        << fault(1);
}

TEST_F(ChainAudit, ARepeatedAttestationIsFound) {
    say(gpu1, 2);
    log.append(log.entries()[1]);
    publish();
    EXPECT_TRUE(fault(2).starts_with("host gpu1.example, sequence 2: sequence 2 is in the log"))
        << fault(2);
}

TEST_F(ChainAudit, AForkIsFound) {
    say(gpu1, 2);
    TestHost twin = keys.host("gpu1.example");
    say(twin, 2);
    publish();
    EXPECT_TRUE(fault(2).starts_with("host gpu1.example, sequence 1: ")) << fault(2);
}

TEST_F(ChainAudit, AWindowThatDoesNotFollowIsFound) {
    say(gpu1);
    say_changed(gpu1, [](pb::Statement &statement) {
        pb::Window &window = *statement.mutable_window();
        window.set_begin_boottime_ns(window.begin_boottime_ns() + 1);
    });
    publish();
    EXPECT_TRUE(fault(1).starts_with("host gpu1.example, sequence 2: window begins at"))
        << fault(1);
}

TEST_F(ChainAudit, AnImpossibleStatementIsFound) {
    say_changed(gpu1, [](pb::Statement &statement) {
        statement.mutable_usage(0)->set_held_ns(TestHost::kWindow + 1);
    });
    publish();
    EXPECT_TRUE(fault(0).starts_with("host gpu1.example, sequence 1: workload 0 on device 0: held"))
        << fault(0);
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
