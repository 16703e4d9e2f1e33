#include "collector/intake.h"

#include "tests/unit/collector/intake_rig.h"

#include <thread>

namespace tally {
namespace {

TEST_F(IntakeTest, ReceiptsEachAttestationInOrder) {
    auto resume = stream_.hello();
    ASSERT_TRUE(resume);
    EXPECT_EQ(resume->last_sequence(), 0U);
    EXPECT_TRUE(resume->head().empty());
    std::vector<Bytes> sent;
    for (int i = 0; i < 20; ++i)
        ASSERT_TRUE(stream_.send(sent.emplace_back(host_.attest())));
    for (uint64_t i = 0; i < 20; ++i)
        stream_.expect_receipt(sent[i], i + 1, log_keys_);
    stream_.half_close();
    EXPECT_FALSE(stream_.read());
    EXPECT_TRUE(stream_.finish().ok());
    EXPECT_TRUE(logged() == sent);
}

TEST_F(IntakeTest, ResumesWithTheReceiptsThatAreStillWanted) {
    ASSERT_TRUE(stream_.hello());
    std::vector<Bytes> sent;
    // More than one page of old receipts, and more than one tile.
    std::thread writer([&] {
        for (int i = 0; i < 700; ++i)
            stream_.send(sent.emplace_back(host_.attest()));
    });
    for (int i = 0; i < 700; ++i)
        ASSERT_TRUE(stream_.read());
    writer.join();

    TestStream again(collector_.port(), keys_);
    auto resume = again.hello(3);
    ASSERT_TRUE(resume);
    EXPECT_EQ(resume->last_sequence(), 700U);
    EXPECT_EQ(resume->head(), text(host_.digest()));
    for (uint64_t sequence = 3; sequence <= 700; ++sequence)
        again.expect_receipt(sent[sequence - 1], sequence, log_keys_);
    Bytes next = host_.attest();
    ASSERT_TRUE(again.send(next));
    again.expect_receipt(next, 701, log_keys_);
}

TEST_F(IntakeTest, GivesReceiptsTogetherToAHostThatTakesThemSo) {
    ASSERT_TRUE(stream_.hello());
    std::vector<Bytes> sent;
    for (uint64_t sequence = 1; sequence <= 300; ++sequence) {
        sent.push_back(host_.attest());
        ASSERT_TRUE(stream_.send(sent.back()));
        stream_.expect_receipt(sent.back(), sequence, log_keys_);
    }
    TestStream again(collector_.port(), keys_);
    pb::AttestRequest hello;
    hello.mutable_hello()->set_first_unreceipted(1);
    hello.mutable_hello()->set_takes_receipts(true);
    ASSERT_TRUE(again.send(hello));
    ASSERT_TRUE(again.read()); // Resume
    uint64_t sequence = 0, messages = 0;
    for (; sequence < 300; ++messages) {
        auto reply = again.read();
        ASSERT_TRUE(reply && reply->has_receipts());
        EXPECT_LT(reply->ByteSizeLong(), 64U << 10); // what an agent takes at most
        std::string checkpoint;
        for (pb::Receipt receipt : reply->receipts().receipts()) {
            EXPECT_EQ(receipt.sequence(), ++sequence);
            if (receipt.checkpoint().empty())
                receipt.set_checkpoint(checkpoint);
            checkpoint = receipt.checkpoint();
            auto checked = check_receipt(receipt, leaf_hash(sent[sequence - 1]), log_keys_);
            EXPECT_TRUE(checked) << checked.error().message;
        }
    }
    EXPECT_LT(messages, 30U);
}

// Everything a host that holds on to its checkpoint asks for: within a stream, and from one to the
// next while others' attestations came between.
TEST_F(IntakeTest, ProvesThatTheLogHasOnlyGrown) {
    TestHost other = keys_.host("host2.example");
    TestStream others(collector_.port(), keys_, "host2.example");
    ASSERT_TRUE(others.hello());
    auto stream = std::make_unique<TestStream>(collector_.port(), keys_);
    ASSERT_TRUE(stream->hello());
    Checkpoint known;
    int proofs = 0;
    for (uint64_t sequence = 1; sequence <= 40; ++sequence) {
        for (uint64_t i = 0; i < sequence % 3; ++i) {
            ASSERT_TRUE(others.send(other.attest()));
            ASSERT_TRUE(others.read());
        }
        Bytes attestation = host_.attest();
        ASSERT_TRUE(stream->send(attestation));
        auto reply = stream->read();
        ASSERT_TRUE(reply && reply->has_receipt());
        auto next = check_receipt(reply->receipt(), leaf_hash(attestation), log_keys_);
        ASSERT_TRUE(next) << next.error().message;
        auto extends = check_extends(reply->receipt(), known, *next);
        ASSERT_TRUE(extends) << sequence << ": " << extends.error().message;
        proofs += reply->receipt().consistency_size() > 0 ? 1 : 0;
        known = *next;
        if (sequence % 10 == 0) {
            ASSERT_TRUE(others.send(other.attest()));
            ASSERT_TRUE(others.read());
            stream = std::make_unique<TestStream>(collector_.port(), keys_);
            ASSERT_TRUE(stream->hello(sequence, known.size)); // and the last receipt again
            reply = stream->read();
            ASSERT_TRUE(reply && reply->has_receipt());
            next = check_receipt(reply->receipt(), leaf_hash(attestation), log_keys_);
            ASSERT_TRUE(next && next->size > known.size);
            ASSERT_TRUE(check_extends(reply->receipt(), known, *next));
            known = *next;
        }
    }
    EXPECT_EQ(proofs, 39);
    // A host that knows more than the log holds gets no proof, and can tell.
    TestStream ahead(collector_.port(), keys_);
    ASSERT_TRUE(ahead.hello(40, known.size + 1));
    auto reply = ahead.read();
    ASSERT_TRUE(reply && reply->has_receipt());
    EXPECT_EQ(reply->receipt().consistency_size(), 0);
}

TEST_F(IntakeTest, GivesTheHostToItsNewestStream) {
    ASSERT_TRUE(stream_.hello());
    Bytes first = host_.attest();
    ASSERT_TRUE(stream_.send(first));
    stream_.expect_receipt(first, 1, log_keys_);
    TestStream newer(collector_.port(), keys_);
    auto resume = newer.hello(2);
    ASSERT_TRUE(resume);
    EXPECT_EQ(resume->last_sequence(), 1U);
    Bytes second = host_.attest();
    stream_.send(second); // into the void, or not at all
    EXPECT_FALSE(stream_.read());
    EXPECT_EQ(stream_.finish().error_code(), grpc::StatusCode::UNAVAILABLE);
    ASSERT_TRUE(newer.send(second));
    newer.expect_receipt(second, 2, log_keys_);
    EXPECT_EQ(logged().size(), 2U);
}

TEST_F(IntakeTest, ServesManyHostsAtOnce) {
    std::vector<std::string> names;
    for (int i = 0; i < 8; ++i)
        names.push_back("many" + std::to_string(i) + ".example");
    TestKeys keys(names);
    Scratch scratch;
    TestCollector collector(keys, scratch / "state");
    auto log_keys = keys.log_keys();
    std::vector<std::thread> hosts;
    for (const std::string &name : names) {
        hosts.emplace_back([&, name] {
            TestHost host = keys.host(name);
            TestStream stream(collector.port(), keys, name);
            ASSERT_TRUE(stream.hello());
            for (uint64_t round = 0; round < 10; ++round) {
                std::vector<Bytes> sent;
                for (int i = 0; i < 10; ++i)
                    ASSERT_TRUE(stream.send(sent.emplace_back(host.attest())));
                for (uint64_t i = 0; i < 10; ++i)
                    stream.expect_receipt(sent[i], round * 10 + i + 1, log_keys);
            }
        });
    }
    for (std::thread &host : hosts)
        host.join();
    collector.stop();
    // The auditor's view: every chain whole, from the log alone.
    auto root = FleetRoot::from_pem(keys.read("fleet-ca.pem"));
    ASSERT_TRUE(root);
    std::map<std::string, ChainHead> heads;
    for (const Bytes &entry : log_entries(keys, scratch / "state/log")) {
        ChainHead &head = heads[statement_in(entry).host()];
        head.host = statement_in(entry).host();
        auto admitted = admit(head, entry, *root);
        ASSERT_TRUE(std::holds_alternative<Opened>(admitted)) << std::get<Breach>(admitted).reason;
    }
    ASSERT_EQ(heads.size(), names.size());
    for (const auto &[name, head] : heads)
        EXPECT_EQ(head.sequence, 100U) << name;
}

TEST_F(IntakeTest, AStopAnswersWhatWasRead) {
    ASSERT_TRUE(stream_.hello());
    std::vector<Bytes> sent;
    for (int i = 0; i < 50; ++i)
        ASSERT_TRUE(stream_.send(sent.emplace_back(host_.attest())));
    stream_.expect_receipt(sent[0], 1, log_keys_);
    std::thread stopper([this] { collector_.stop(); });
    uint64_t receipts = 1;
    while (auto reply = stream_.read()) {
        ASSERT_TRUE(reply->has_receipt());
        EXPECT_EQ(reply->receipt().sequence(), ++receipts);
    }
    EXPECT_EQ(stream_.finish().error_code(), grpc::StatusCode::UNAVAILABLE);
    stopper.join();
    EXPECT_EQ(log_entries(keys_, scratch_ / "state/log").size(), receipts);
}

} // namespace
} // namespace tally
