// The uplink against grpc++, both ends well-behaved.
#include "tests/unit/agent/uplink_rig.h"

#include <thread>

namespace tally {
namespace {

struct UplinkTest : testing::Test, Rig {
    ~UplinkTest() override { testing::internal::GetCapturedStderr(); }

    void start() {
        collector.start();
        make_uplink(collector.address(), collector.log_keys());
    }
    void expect_delivered(uint64_t last, size_t size = 300) {
        std::vector<Bytes> held = collector.held();
        ASSERT_EQ(held.size(), last);
        for (uint64_t sequence = 1; sequence <= last; sequence++)
            EXPECT_EQ(held[sequence - 1], test_attestation(sequence, size)) << sequence;
    }

    TestCollector collector{ca};
};

TEST_F(UplinkTest, DeliversFiveHundredInOrderAndReleasesThem) {
    collector.script().batch = 20;
    append(1, 500);
    start();
    ASSERT_TRUE(run_until_idle()) << logged();
    expect_delivered(500);
    EXPECT_EQ(uplink->counters().sent, 500u);
    EXPECT_EQ(uplink->counters().receipted, 500u);
    EXPECT_EQ(uplink->counters().connects, 1u);
    EXPECT_EQ(uplink->state(), Uplink::State::kStreaming);
    EXPECT_EQ(uplink->next_timer_ns(), Uplink::kNever);
    EXPECT_GT(spool->first_sequence(), 480u);
    EXPECT_EQ(spool->last_sequence(), 500u);
    std::string log = logged();
    EXPECT_EQ(count(log, "connected; it held sequence 0"), 1) << log;
    EXPECT_EQ(count(log, "warning"), 0) << log;
}

TEST_F(UplinkTest, SendsWhatComesLater) {
    start();
    ASSERT_TRUE(run_until([&] { return uplink->state() == Uplink::State::kStreaming; }));
    EXPECT_TRUE(uplink->idle());
    for (uint64_t sequence = 1; sequence <= 5; sequence++) {
        append(sequence, sequence);
        EXPECT_FALSE(uplink->idle());
        ASSERT_TRUE(run_until_idle());
    }
    expect_delivered(5);
}

TEST_F(UplinkTest, KeepsToItsLimitInFlight) {
    collector.script().mute = true;
    const size_t most = UplinkConfig().in_flight;
    append(1, most + 100);
    start();
    ASSERT_TRUE(run_until([&] { return collector.held().size() == most; })) << logged();
    uplink->on_ready(now());
    EXPECT_EQ(uplink->counters().sent, most);
    EXPECT_EQ(spool->first_sequence(), 1u);
}

TEST_F(UplinkTest, LargestAttestationsPassFlowControl) {
    append(1, 100, 65535);
    start();
    ASSERT_TRUE(run_until_idle()) << logged();
    expect_delivered(100, 65535);
}

TEST_F(UplinkTest, FinishEndsTheStreamCleanly) {
    append(1, 10);
    start();
    ASSERT_TRUE(run_until([&] { return uplink->state() == Uplink::State::kStreaming; }));
    append(11, 12);
    ASSERT_TRUE(finish()) << logged();
    EXPECT_TRUE(uplink->idle());
    EXPECT_EQ(uplink->fd(), -1);
    EXPECT_EQ(uplink->next_timer_ns(), Uplink::kNever);
    collector.stop();
    EXPECT_EQ(collector.clean_ends(), 1);
    expect_delivered(12);
    EXPECT_EQ(count(logged(), "warning"), 0);
}

TEST_F(UplinkTest, FinishWithoutAConnectionIsAtOnce) {
    append(1, 3);
    make_uplink("127.0.0.1:1", collector.log_keys());
    ASSERT_TRUE(run_until_failed());
    uplink->finish(now());
    EXPECT_TRUE(uplink->finished());
    EXPECT_FALSE(uplink->idle());
}

TEST_F(UplinkTest, ResumesAfterTheCollectorRestarts) {
    append(1, 100);
    start();
    ASSERT_TRUE(run_until_idle());
    collector.stop();
    ASSERT_TRUE(run_until_failed());
    append(101, 150);
    EXPECT_FALSE(uplink->idle());
    collector.start();
    ASSERT_TRUE(run_until_idle(true)) << logged();
    expect_delivered(150);
    EXPECT_EQ(uplink->counters().sent, 150u) << "nothing is sent twice";
    EXPECT_EQ(uplink->counters().connects, 2u);
    EXPECT_EQ(count(logged(), " connected; "), 2);
}

TEST_F(UplinkTest, AGracefulStopLosesNothing) {
    append(1, 20);
    start();
    ASSERT_TRUE(run_until_idle());
    std::thread stopping([&] { collector.stop_gracefully(); });
    EXPECT_TRUE(run_until_failed()) << logged();
    stopping.join();
    EXPECT_EQ(collector.clean_ends(), 1) << "GOAWAY is answered by ending the stream";
    append(21, 30);
    collector.start();
    ASSERT_TRUE(run_until_idle(true)) << logged();
    expect_delivered(30);
}

TEST_F(UplinkTest, AfterARestartTheAgentGetsItsReceiptsAgain) {
    append(1, 50);
    start();
    ASSERT_TRUE(run_until_idle());
    open_spool();
    uint64_t kept = spool->first_sequence();
    EXPECT_GT(kept, 1u);
    append(51, 60);
    make_uplink(collector.address(), collector.log_keys());
    EXPECT_FALSE(uplink->idle());
    ASSERT_TRUE(run_until_idle()) << logged();
    EXPECT_EQ(uplink->counters().sent, 10u);
    EXPECT_EQ(uplink->counters().receipted, 60 - kept + 1);
    expect_delivered(60);
}

TEST_F(UplinkTest, FindsTheAddressThatAnswers) {
    append(1, 3);
    collector.start();
    std::string port = collector.address().substr(collector.address().rfind(':'));
    make_uplink("localhost" + port, collector.log_keys()); // [::1] comes first where there is one
    ASSERT_TRUE(run_until_idle()) << logged();
}

TEST_F(UplinkTest, EachReasonIsLoggedOnce) {
    append(1, 1);
    collector.start();
    make_uplink(collector.address(), collector.log_keys());
    collector.stop();
    for (int round = 0; round < 5; round++) {
        tried = false;
        ASSERT_TRUE(run_until([&] { return tried && uplink->fd() < 0; }, true));
    }
    std::string log = logged();
    EXPECT_EQ(count(log, "collector " + collector.address() +
                             " unreachable: Connection refused; recording goes on, retrying"),
              1)
        << log;
    collector.start();
    ASSERT_TRUE(run_until_idle(true));
    EXPECT_EQ(count(logged(), " connected; "), 1);
}

TEST(Backoff, GrowsToTwoMinutesAndStartsAnew) {
    Backoff backoff;
    uint64_t aim = Backoff::kFirst;
    for (int i = 0; i < 30; i++) {
        uint64_t wait = backoff.next();
        EXPECT_GE(wait, aim * 4 / 5);
        EXPECT_LE(wait, aim * 6 / 5);
        aim = std::min(aim * 8 / 5, Backoff::kMost);
    }
    EXPECT_EQ(aim, Backoff::kMost);
    backoff.reset();
    EXPECT_LE(backoff.next(), Backoff::kFirst * 6 / 5);
    EXPECT_GE(backoff.longest(), Backoff::kMost * 4 / 5);
    EXPECT_GE(backoff.next(), Backoff::kMost * 4 / 5);
}

} // namespace
} // namespace tally
