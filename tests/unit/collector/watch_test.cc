// The auditor's rules on arrival: what the collector says of its log is what `tally findings` says
// of a copy, before and after restarts, and from an index that was lost. Forks are kept.
#include "collector/watch.h"

#include "base/durable.h"
#include "collector/replay.h"
#include "tests/unit/collector/program.h"
#include "tests/unit/collector/support.h"
#include "tests/unit/support/explainer.h"

#include <cstdlib>
#include <filesystem>
#include <future>
#include <gtest/gtest.h>

namespace tally {
namespace {

class WatchTest : public testing::Test {
protected:
    TestKeys keys_{{kHost, "host2.example"}};
    std::vector<NoteKey> log_keys_ = keys_.log_keys();
    Scratch scratch_;
    std::string state_ = scratch_ / "state";
    std::string index_path_ = state_ + "/index.db";
    TestHost host_ = keys_.host(kHost);
    TestHost other_ = keys_.host("host2.example");

    void send(TestCollector &collector, TestHost &host, int count) {
        TestStream stream(collector.port(), keys_, host.name());
        auto resume = stream.hello(host.sequence() + 1);
        ASSERT_TRUE(resume);
        ASSERT_EQ(resume->last_sequence(), host.sequence());
        for (int i = 0; i < count; i++) {
            Bytes attestation = host.attest();
            ASSERT_TRUE(stream.send(attestation));
            stream.expect_receipt(attestation, host.sequence(), log_keys_);
        }
    }
    void refused(TestCollector &collector, const Bytes &attestation, pb::Refusal::Code code) {
        TestStream stream(collector.port(), keys_);
        ASSERT_TRUE(stream.hello(1000));
        ASSERT_TRUE(stream.send(attestation));
        stream.expect_refusal(code);
    }
    // By an auditor, on its way past the service: what the collector holds true of its log.
    static void explain(TestCollector &collector, const Bytes &entry) {
        auto read = read_explanation(entry);
        ASSERT_TRUE(std::holds_alternative<UnverifiedExplanation>(read));
        std::promise<Sequencer::Verdict> verdict;
        collector.sequencer().explain(
            std::get<UnverifiedExplanation>(read).opened, entry,
            [&](Sequencer::Verdict answer) { verdict.set_value(std::move(answer)); });
        ASSERT_TRUE(std::holds_alternative<pb::Receipt>(verdict.get_future().get()));
    }
    size_t logged() const { return log_entries(keys_, state_ + "/log").size(); }

    std::string by_collector() const {
        auto index = Index::open(index_path_);
        EXPECT_TRUE(index) << index.error().message;
        EXPECT_EQ(index->judged().value(), index->size());
        auto rows = index->findings();
        EXPECT_TRUE(rows);
        std::vector<Finding> findings;
        for (const auto &[at, finding] : *rows)
            findings.push_back(finding);
        return findings_csv(findings);
    }
    std::string by_auditor() const {
        std::string command = built("tally") + " findings --csv " + state_ + "/log --log-keys " +
                              keys_.path("log.vkeys") + " --fleet-root " +
                              keys_.path("fleet-ca.pem") + " >" + (scratch_ / "findings");
        EXPECT_EQ(std::system(command.c_str()) >> 8, 1);
        return read_text(scratch_ / "findings").value();
    }
    // A gap, and a fork of three statements, over more than one entry bundle.
    void misbehave() {
        TestCollector collector(keys_, state_);
        send(collector, host_, 200);
        TestHost clone = keys_.host(kHost);
        for (int i = 0; i < 200; i++)
            clone.attest();
        send(collector, host_, 3);
        for (int i = 0; i < 3; i++)
            refused(collector, clone.attest(), pb::Refusal::CODE_FORK);
        send(collector, other_, 100);
        other_.reboot(3600 * TestHost::kSecond);
        send(collector, other_, 1);
        collector.stop();
        ASSERT_EQ(logged(), 307U);
    }
};

TEST_F(WatchTest, AForkIsKeptOnceAndAReplayIsNot) {
    TestHost clone = keys_.host(kHost);
    {
        TestCollector collector(keys_, state_);
        send(collector, host_, 2);
        Bytes first = clone.attest();
        refused(collector, first, pb::Refusal::CODE_FORK);
        refused(collector, first, pb::Refusal::CODE_REPLAYED);
        collector.stop();
        EXPECT_EQ(logged(), 3U);
        EXPECT_TRUE(log_entries(keys_, state_ + "/log")[2] == first);
    }
    // Nor after a restart, or with an index from the log; and the chain goes on.
    for (bool lost : {false, true}) {
        if (lost)
            std::filesystem::remove(index_path_);
        TestCollector collector(keys_, state_);
        refused(collector, log_entries(keys_, state_ + "/log")[2], pb::Refusal::CODE_REPLAYED);
        send(collector, host_, 1);
        collector.stop();
    }
    EXPECT_EQ(logged(), 5U);
    EXPECT_NE(by_collector().find("fork,gpu1.example,1,2,sequence 1 was signed twice: the other is "
                                  "at log index 0"),
              std::string::npos)
        << by_collector();
}

TEST_F(WatchTest, SaysWhatTheAuditorSays) {
    misbehave();
    std::string found = by_collector();
    EXPECT_EQ(found, by_auditor());
    for (const char *kind : {"\nfork,gpu1.example,201,", "\ngap,host2.example,101,"})
        EXPECT_NE(found.find(kind), std::string::npos) << found;
    {
        TestCollector collector(keys_, state_); // reads the log again
        send(collector, host_, 1);
        collector.stop();
    }
    EXPECT_EQ(by_collector(), by_auditor());
}

TEST_F(WatchTest, SaysWhatTheAuditorSaysOfWhatIsExplained) {
    misbehave();
    auto entries = log_entries(keys_, state_ + "/log");
    Explainer auditor(keys_);
    pb::FindingName fork = finding_name("fork", 203, entries[203]);
    pb::FindingName gap = finding_name("gap", 306, entries[306]);
    for (bool again : {false, true}) {
        TestCollector collector(keys_, state_);
        explain(collector, auditor.explain(fork, "a restored disk"));
        explain(collector, auditor.explain(gap, "power", again));
        explain(collector, auditor.explain(finding_name("gap", 2, entries[2]), "none there"));
        send(collector, host_, 1);
        collector.stop();
        EXPECT_EQ(by_collector(), by_auditor());
    }
    std::string found = by_collector();
    EXPECT_NE(found.find("fork@203,explained,auditor.example,"), std::string::npos) << found;
    EXPECT_NE(found.find("gap@306,open,,,,,308 312\n"), std::string::npos) << found;
    EXPECT_NE(found.find("\nexplanation,auditor.example,0,309,\"explains gap@2 of gpu1.example"),
              std::string::npos)
        << found;
}

TEST_F(WatchTest, ALostIndexFindsTheSame) {
    misbehave();
    std::string found = by_collector();
    auto log = TileLog::open(state_ + "/log", keys_.log_signers(), 0);
    ASSERT_TRUE(log);
    auto made = reindex(index_path_, *log);
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(by_collector(), found);
    Program report({"--config", scratch_ / "collector.toml", "report", "--findings"},
                   scratch_ / "output");
    EXPECT_EQ(report.wait(), 2); // no configuration
    ASSERT_TRUE(replace_file(scratch_ / "collector.toml", view(config_text(keys_, state_))));
    Program again({"--config", scratch_ / "collector.toml", "report", "--findings"},
                  scratch_ / "output");
    EXPECT_EQ(again.wait(), 0);
    EXPECT_EQ(again.output(), found);
}

TEST_F(WatchTest, WhatDoesNotFitIsReadFromTheLog) {
    misbehave();
    auto entries = log_entries(keys_, state_ + "/log");
    std::string found = by_collector();
    Log lines("test");
    {
        auto index = Index::open(index_path_);
        ASSERT_TRUE(index);
        ASSERT_TRUE(index->set_findings(index->findings().value(), {}, 0));
        // Knows of a beginning, then hears of the last entries alone.
        Watch watch(state_ + "/log", 10, index_path_, lines);
        std::vector<Watch::Arrival> arrivals;
        for (uint64_t i = 300; i < entries.size(); i++)
            arrivals.push_back({i, entries[i].size(), reopen(entries[i]).value()});
        watch.appended(std::move(arrivals));
    }
    EXPECT_EQ(by_collector(), found);
}

} // namespace
} // namespace tally
