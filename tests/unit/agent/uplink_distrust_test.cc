// The uplink against a collector that is wrong, or says that the host is.
#include "tests/unit/agent/uplink_rig.h"

namespace tally {
namespace {

struct UplinkDistrust : testing::Test, Rig {
    ~UplinkDistrust() override { testing::internal::GetCapturedStderr(); }

    void start() {
        collector.start();
        make_uplink(collector.address(), collector.log_keys());
    }
    // Fails, fails again after the back-off, and expects one line, one event, nothing released.
    void expect_invalid_receipt(const std::string &reason) {
        append(1, 40);
        if (!uplink)
            start();
        ASSERT_TRUE(run_until_failed());
        expect_long_wait();
        ASSERT_TRUE(run_until([&] { return uplink->counters().invalid_receipts >= 2; }, true));
        std::string log = logged();
        EXPECT_EQ(count(log, "sent an invalid receipt: "), 1) << log;
        EXPECT_EQ(count(log, reason), 1) << log;
        EXPECT_EQ(count(log, " connected; "), 0) << log;
        ASSERT_EQ(events.size(), 1u);
        EXPECT_EQ(events[0].first, pb::Event::KIND_RECEIPT_INVALID);
        EXPECT_NE(events[0].second.find(reason), std::string::npos) << events[0].second;
        EXPECT_EQ(spool->first_sequence(), 1u);
        EXPECT_EQ(uplink->counters().receipted, 0u);
        EXPECT_FALSE(uplink->idle());
    }
    void expect_long_wait() {
        EXPECT_GT(uplink->next_timer_ns(), now() + 90 * kSecond);
        EXPECT_LT(uplink->next_timer_ns(), now() + 150 * kSecond);
    }
    // A stream that fails before anything is sent, with a long wait.
    void expect_chain_not_ours(const std::string &reason, uint64_t proof) {
        start();
        ASSERT_TRUE(run_until_failed());
        std::string log = logged();
        EXPECT_EQ(count(log, reason), 1) << log;
        // One attestation, as proof, and that once.
        EXPECT_EQ(uplink->counters().sent, 1u);
        EXPECT_EQ(count(log, "refuses sequence " + std::to_string(proof) + ": CODE_REPLAYED"), 1)
            << log;
        expect_long_wait();
        ASSERT_TRUE(run_until([&] { return uplink->fd() >= 0; }, true));
        ASSERT_TRUE(run_until_failed());
        EXPECT_EQ(uplink->counters().sent, 1u);
        EXPECT_EQ(uplink->counters().invalid_receipts, 0u);
    }

    TestCollector collector{ca};
};

TEST_F(UplinkDistrust, AProofThatDoesNotFit) {
    collector.script().alter = [](pb::AttestReply &reply) {
        if (reply.has_receipt())
            (*reply.mutable_receipt()->mutable_proof(0))[5] ^= 1;
    };
    expect_invalid_receipt("the receipt for sequence 1: inclusion proof: ");
}

// The first of several in one message has none before it to share one with.
TEST_F(UplinkDistrust, NoCheckpoint) {
    collector.script().alter = [](pb::AttestReply &reply) {
        if (reply.has_receipt()) {
            pb::Receipt receipt = reply.receipt();
            receipt.clear_checkpoint();
            *reply.mutable_receipts()->add_receipts() = receipt;
        }
    };
    expect_invalid_receipt("the receipt for sequence 1: checkpoint: ");
}

TEST_F(UplinkDistrust, AProofOfAnotherLeaf) {
    collector.script().alter = [](pb::AttestReply &reply) {
        if (reply.has_receipt())
            reply.mutable_receipt()->set_index(0);
    };
    expect_invalid_receipt("the receipt for sequence 1: inclusion proof: ");
}

TEST_F(UplinkDistrust, ACheckpointChangedAfterSigning) {
    collector.script().alter = [](pb::AttestReply &reply) {
        if (reply.has_receipt()) {
            std::string &note = *reply.mutable_receipt()->mutable_checkpoint();
            size_t size_line = note.find('\n') + 1;
            note[size_line] = note[size_line] == '9' ? '8' : '9';
        }
    };
    expect_invalid_receipt("the receipt for sequence 1: checkpoint: ");
}

TEST_F(UplinkDistrust, ACheckpointOfAnotherLog) {
    TestCollector other(ca);
    collector.start();
    make_uplink(collector.address(), other.log_keys());
    expect_invalid_receipt("the receipt for sequence 1: checkpoint: ");
}

TEST_F(UplinkDistrust, NoCheckpointAtAll) {
    collector.script().alter = [](pb::AttestReply &reply) {
        if (reply.has_receipt())
            reply.mutable_receipt()->clear_checkpoint();
    };
    expect_invalid_receipt("the receipt for sequence 1: checkpoint: ");
}

// The checkpoint verified before must not stand for one that only resembles it.
TEST_F(UplinkDistrust, ASecondCheckpointIsVerifiedToo) {
    collector.script().alter = [](pb::AttestReply &reply) {
        if (reply.has_receipt() && reply.receipt().sequence() == 2) {
            std::string &note = *reply.mutable_receipt()->mutable_checkpoint();
            note[note.size() - 5] = note[note.size() - 5] == 'A' ? 'B' : 'A';
        }
    };
    append(1, 2);
    start();
    ASSERT_TRUE(run_until_failed());
    EXPECT_EQ(uplink->counters().receipted, 1u);
    EXPECT_EQ(uplink->counters().invalid_receipts, 1u);
}

TEST_F(UplinkDistrust, AReceiptOutOfOrder) {
    collector.script().alter = [](pb::AttestReply &reply) {
        if (reply.has_receipt())
            reply.mutable_receipt()->set_sequence(reply.receipt().sequence() + 1);
    };
    expect_invalid_receipt("for sequence 2 where that for 1 is due");
}

TEST_F(UplinkDistrust, AReceiptForNothing) {
    collector.script().alter = [&](pb::AttestReply &reply) {
        if (reply.has_receipt() && reply.receipt().sequence() == 2)
            reply.mutable_receipt()->set_sequence(1);
    };
    append(1, 1);
    start();
    ASSERT_TRUE(run_until_idle());
    append(2, 2);
    ASSERT_TRUE(run_until_failed());
    EXPECT_EQ(count(logged(), "for sequence 1 where that for 2 is due"), 1);
}

TEST_F(UplinkDistrust, ARefusalIsLoggedOnceAndNothingIsLost) {
    collector.script().refuse = [](uint64_t sequence) -> std::optional<pb::Refusal> {
        if (sequence != 31)
            return std::nullopt;
        pb::Refusal refusal;
        refusal.set_code(pb::Refusal::CODE_IMPOSSIBLE);
        refusal.set_sequence(sequence);
        refusal.set_reason("held more than the window\nis long");
        return refusal;
    };
    append(1, 40);
    start();
    ASSERT_TRUE(run_until([&] { return uplink->counters().refused == 1; })) << logged();
    expect_long_wait();
    ASSERT_TRUE(run_until([&] { return uplink->counters().refused == 3; }, true));
    std::string log = logged();
    EXPECT_EQ(count(log, "refuses sequence 31: CODE_IMPOSSIBLE: held more than the window"), 1)
        << log;
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].first, pb::Event::KIND_REFUSED);
    EXPECT_TRUE(spool->holds(31));
    EXPECT_EQ(spool->last_sequence(), 40u);

    collector.script().refuse = nullptr;
    ASSERT_TRUE(run_until_idle(true)) << logged();
    EXPECT_EQ(collector.held().size(), 40u);
}

TEST_F(UplinkDistrust, AHoleIsSkippedAndSaid) {
    append(1, 20);
    std::string segment = scratch / "spool/00000000000000000001.seg";
    Bytes bytes = slurp(segment);
    bytes[4 * 316 + 40] ^= 1; // in sequence 5
    spill(segment, bytes);
    open_spool();
    ASSERT_EQ(spool->damage().size(), 1u);
    start();
    ASSERT_TRUE(run_until([&] { return uplink->counters().refused == 2; }, true)) << logged();
    std::string log = logged();
    EXPECT_EQ(count(log, "refuses sequence 6: CODE_SKIPPED: the log ends at 4; it holds up to "
                         "sequence 4, the spool goes on at 6"),
              1)
        << log;
    EXPECT_EQ(spool->last_sequence(), 20u);
    EXPECT_EQ(collector.held().size(), 4u);
}

TEST_F(UplinkDistrust, AHoleThatTheCollectorHoldsDoesNotMatter) {
    append(1, 20);
    collector.set_held(test_attestations(8));
    std::string segment = scratch / "spool/00000000000000000001.seg";
    Bytes bytes = slurp(segment);
    bytes[4 * 316 + 40] ^= 1; // in sequence 5
    spill(segment, bytes);
    open_spool();
    start();
    ASSERT_TRUE(run_until_idle()) << logged();
    EXPECT_EQ(collector.held().size(), 20u);
    EXPECT_EQ(uplink->counters().sent, 12u);
}

TEST_F(UplinkDistrust, ACollectorThatIsAheadOfTheSpool) {
    append(1, 80);
    collector.set_held(test_attestations(90));
    expect_chain_not_ours("it holds sequence 90 of this host, the spool ends at 80: was the state "
                          "directory lost, or restored from a copy?",
                          80);
}

TEST_F(UplinkDistrust, ACollectorThatHoldsAnotherChain) {
    append(1, 80);
    std::vector<Bytes> other = test_attestations(70);
    other.back()[20] ^= 1;
    collector.set_held(other);
    expect_chain_not_ours("it holds another sequence 70 of this host than the spool", 70);
}

TEST_F(UplinkDistrust, RepliesThatDoNotBelong) {
    collector.script().alter = [](pb::AttestReply &reply) { reply.Clear(); };
    append(1, 1);
    start();
    ASSERT_TRUE(run_until_failed());
    EXPECT_EQ(count(logged(), "a reply that does not belong here"), 1);

    collector.script().alter = [](pb::AttestReply &reply) {
        reply.mutable_receipt()->set_sequence(1);
    };
    ASSERT_TRUE(run_until([&] { return uplink->fd() >= 0; }, true));
    ASSERT_TRUE(run_until_failed());
}

TEST_F(UplinkDistrust, ASilentCollectorIsTakenForDead) {
    collector.script().mute = true;
    append(1, 3);
    start();
    ASSERT_TRUE(run_until([&] { return collector.held().size() == 3; }));
    EXPECT_LE(uplink->next_timer_ns(), now() + 30 * kSecond);
    pushed_ns += 31 * kSecond;
    ASSERT_TRUE(run_until_failed());
    std::string log = logged();
    EXPECT_EQ(count(log, "silent for 30 seconds, taken for dead"), 1) << log;
    collector.script().mute = false;
    ASSERT_TRUE(run_until_idle(true)) << logged();
    EXPECT_EQ(collector.held().size(), 3u);
}

} // namespace
} // namespace tally
