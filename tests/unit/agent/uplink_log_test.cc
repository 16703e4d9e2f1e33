// The host's half of the log: whatever the collector does to its log after it gave this host a
// receipt, the host notices, keeps its spool, and says so, in one line and in its next statement.
#include "tests/unit/agent/uplink_rig.h"

namespace tally {
namespace {

struct UplinkLog : testing::Test, Rig {
    ~UplinkLog() override { testing::internal::GetCapturedStderr(); }

    void start() {
        collector.start();
        make_uplink(collector.address(), collector.log_keys());
    }
    // Twelve attestations are receipted under checkpoints up to size 15.
    void have_a_history() {
        append(1, 12);
        start();
        ASSERT_TRUE(run_until_idle()) << logged();
        EXPECT_EQ(uplink->counters().receipted, 12u);
    }
    void break_off() {
        collector.stop();
        ASSERT_TRUE(run_until_failed());
        logged();
    }
    // The log stays as it is.
    void take_no_more() {
        collector.script().refuse = [](uint64_t sequence) -> std::optional<pb::Refusal> {
            pb::Refusal refusal;
            refusal.set_sequence(sequence);
            return refusal;
        };
    }
    // As after an upgrade or a crash of the agent.
    void restart_agent() {
        uplink.reset();
        open_spool();
        make_uplink(collector.address(), collector.log_keys());
    }
    // The log as it is now is refused, over and over, with one line and one event.
    void expect_caught(const std::string &reason) {
        append(13, 13);
        uint64_t receipted = uplink->counters().receipted;
        collector.start();
        ASSERT_TRUE(run_until([&] { return uplink->counters().inconsistent_logs >= 3; }, true))
            << logged();
        std::string log = logged();
        EXPECT_EQ(count(log, "has rewritten, forked or rolled back its log: its checkpoint does "
                             "not extend the log of size 15 that this host has verified (" +
                                 reason),
                  1)
            << log;
        EXPECT_EQ(count(log, " connected; "), 0) << log;
        ASSERT_EQ(events.size(), 1u);
        EXPECT_EQ(events[0].first, pb::Event::KIND_LOG_INCONSISTENT);
        EXPECT_TRUE(events[0].second.starts_with("held size 15 root ")) << events[0].second;
        EXPECT_NE(events[0].second.find(", shown size "), std::string::npos) << events[0].second;
        EXPECT_EQ(uplink->counters().receipted, receipted);
        EXPECT_TRUE(spool->holds(13));
        EXPECT_FALSE(uplink->idle());
        // Both signed states are kept for a person.
        for (const char *name : {"checkpoint", "checkpoint.refused"})
            EXPECT_TRUE(open_checkpoint(text(slurp(scratch / name)), collector.log_keys())) << name;
    }

    TestCollector collector{ca};
};

TEST_F(UplinkLog, ThatGrowsIsFollowedAcrossConnectionsAndRestarts) {
    have_a_history();
    for (uint64_t sequence = 13; sequence <= 20; sequence++) {
        break_off();
        collector.append_foreign(sequence);
        if (sequence % 2 == 0)
            restart_agent();
        append(sequence, sequence);
        collector.start();
        ASSERT_TRUE(run_until_idle(true)) << logged();
    }
    EXPECT_EQ(uplink->counters().inconsistent_logs, 0u);
    EXPECT_TRUE(events.empty());
    EXPECT_EQ(collector.held().size(), 20u);
}

TEST_F(UplinkLog, ThatWasRewrittenIsRefused) {
    have_a_history();
    break_off();
    collector.rewrite_log();
    expect_caught("consistency proof: ");
}

TEST_F(UplinkLog, ThatWasRewrittenWhileTheAgentWasDownIsRefused) {
    have_a_history();
    break_off();
    restart_agent(); // it asks for the receipts again
    collector.rewrite_log();
    collector.append_foreign(4);
    expect_caught("consistency proof: ");
}

TEST_F(UplinkLog, ThatForkedAtTheSameSizeIsRefused) {
    have_a_history();
    break_off();
    restart_agent(); // it asks for the receipts again, and gets them at size 15
    collector.rewrite_log();
    take_no_more();
    expect_caught("the same size, another root");
}

TEST_F(UplinkLog, ThatWasRolledBackIsRefused) {
    have_a_history();
    break_off();
    restart_agent();
    collector.set_held(test_attestations(5));
    take_no_more();
    expect_caught("it is older");
}

TEST_F(UplinkLog, ThatWasRolledBackAndGrewAgainIsRefused) {
    have_a_history();
    break_off();
    collector.set_held(test_attestations(12)); // without the others' entries that were in between
    collector.rewrite_log();
    collector.append_foreign(100);
    expect_caught("consistency proof: ");
}

TEST_F(UplinkLog, WithoutAProofIsRefused) {
    have_a_history();
    break_off();
    collector.script().alter = [](pb::AttestReply &reply) {
        if (reply.has_receipt())
            reply.mutable_receipt()->clear_consistency();
    };
    expect_caught("consistency proof: proof is too short");
}

TEST_F(UplinkLog, WithAnEndlessProofIsRefused) {
    have_a_history();
    break_off();
    collector.script().alter = [](pb::AttestReply &reply) {
        for (int i = 0; reply.has_receipt() && i < 100; i++)
            reply.mutable_receipt()->add_consistency(std::string(32, 'x'));
    };
    expect_caught("consistency proof: too long");
}

TEST_F(UplinkLog, WithAMalformedProofIsRefused) {
    have_a_history();
    break_off();
    collector.script().alter = [](pb::AttestReply &reply) {
        if (reply.has_receipt())
            reply.mutable_receipt()->add_consistency("short");
    };
    expect_caught("consistency proof: a hash is not 32 bytes long");
}

TEST_F(UplinkLog, ThatGivesReceiptsTogetherIsTrusted) {
    collector.script().alter = [](pb::AttestReply &reply) {
        if (!reply.has_receipt())
            return;
        pb::Receipt receipt = reply.receipt();
        *reply.mutable_receipts()->add_receipts() = receipt;
    };
    append(1, 20);
    start();
    ASSERT_TRUE(run_until_idle()) << logged();
    EXPECT_EQ(uplink->counters().receipted, 20u);
    EXPECT_EQ(uplink->counters().invalid_receipts, 0u);
}

// Signed by the log's own key, once good, and shown again: within one stream.
TEST_F(UplinkLog, ThatShowsAStaleCheckpointIsRefused) {
    std::optional<pb::Receipt> first; // the stream's thread writes it, then no stream is open
    collector.script().alter = [&](pb::AttestReply &reply) {
        if (!reply.has_receipt())
            return;
        if (!first)
            first = reply.receipt();
        else
            reply.mutable_receipt()->set_checkpoint(first->checkpoint());
    };
    append(1, 1);
    start();
    ASSERT_TRUE(run_until_idle());
    collector.append_foreign(3);
    append(2, 2);
    // The checkpoint verified last is the same text: what is wrong then is the inclusion proof.
    ASSERT_TRUE(run_until([&] { return uplink->counters().invalid_receipts >= 1; }, true));
    EXPECT_FALSE(uplink->idle());
    EXPECT_TRUE(spool->holds(2));

    // After a newer one it is refused for its age.
    collector.script().alter = nullptr;
    ASSERT_TRUE(run_until_idle(true)) << logged();
    break_off();
    collector.script().alter = [&](pb::AttestReply &reply) {
        if (reply.has_receipt())
            reply.mutable_receipt()->set_checkpoint(first->checkpoint());
    };
    append(3, 3);
    collector.start();
    ASSERT_TRUE(run_until([&] { return uplink->counters().inconsistent_logs >= 1; }, true));
    EXPECT_FALSE(uplink->idle());
    EXPECT_TRUE(spool->holds(3));
    EXPECT_EQ(count(logged(), "(it is older)"), 1);
}

TEST_F(UplinkLog, ThatIsMendedIsAcceptedAgain) {
    have_a_history();
    break_off();
    collector.rewrite_log();
    expect_caught("consistency proof: ");
    collector.stop();
    collector.rewrite_log(); // as it was
    collector.start();
    ASSERT_TRUE(run_until_idle(true)) << logged();
    EXPECT_EQ(collector.held().size(), 13u);
}

TEST_F(UplinkLog, UnderAnotherNameIsAnotherLog) {
    have_a_history();
    break_off();
    std::string note(text(slurp(scratch / "checkpoint")));
    note.replace(0, std::string_view(kLogName).size(), "log.test/before");
    spill(scratch / "checkpoint", view(note));
    restart_agent();
    EXPECT_EQ(count(logged(), "is of log log.test/before; log log.test/fleet1 starts anew"), 1);
    collector.rewrite_log();
    append(13, 13);
    collector.start();
    ASSERT_TRUE(run_until_idle(true)) << logged();
    EXPECT_TRUE(events.empty());
}

TEST_F(UplinkLog, AKeptCheckpointThatCannotBeReadIsSaid) {
    have_a_history();
    break_off();
    spill(scratch / "checkpoint", view("rubbish"));
    restart_agent();
    EXPECT_EQ(count(logged(), "checkpoint: not a signed note; the next one is taken on trust"), 1);
    append(13, 13);
    collector.start();
    ASSERT_TRUE(run_until_idle(true)) << logged();
    EXPECT_TRUE(open_checkpoint(text(slurp(scratch / "checkpoint")), collector.log_keys()));
}

// Nothing leaves the spool for a checkpoint that could not be kept.
TEST_F(UplinkLog, ACheckpointThatCannotBeWrittenReleasesNothing) {
    std::filesystem::create_directories(scratch / "checkpoint.tmp"); // where it is written first
    append(1, 12);
    start();
    ASSERT_TRUE(run_until_failed());
    EXPECT_EQ(uplink->counters().receipted, 0u);
    EXPECT_EQ(uplink->counters().invalid_receipts, 0u);
    EXPECT_TRUE(spool->holds(1));
    EXPECT_TRUE(events.empty());
    EXPECT_EQ(count(logged(), "checkpoint.tmp: Is a directory"), 1);
    std::filesystem::remove(scratch / "checkpoint.tmp");
    ASSERT_TRUE(run_until_idle(true)) << logged();
}

} // namespace
} // namespace tally
