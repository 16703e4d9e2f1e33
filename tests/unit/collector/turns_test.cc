// Fairness between hosts: by the queue itself, and through the collector.
#include "collector/turns.h"

#include "tests/unit/collector/support.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <gtest/gtest.h>
#include <thread>

namespace tally {
namespace {

struct Order {
    std::mutex mutex;
    std::vector<char> taken;
    std::promise<void> all;
    size_t expected = 0;
};

// Has `pieces` pieces of work and says when each is done.
class NamedLane : public Lane {
public:
    NamedLane(char name, int pieces, Order &order) : name_(name), left_(pieces), order_(order) {}
    bool take_turn() override {
        std::lock_guard lock(order_.mutex);
        order_.taken.push_back(name_);
        if (order_.taken.size() == order_.expected)
            order_.all.set_value();
        return --left_ > 0;
    }

private:
    char name_;
    int left_;
    Order &order_;
};

TEST(Turns, GoRoundFromLaneToLane) {
    Order order;
    order.expected = 100 + 3 + 2;
    Turns turns(1);
    {
        std::lock_guard hold(order.mutex); // so that all are waiting before the second turn
        turns.add(std::make_shared<NamedLane>('a', 100, order));
        turns.add(std::make_shared<NamedLane>('b', 3, order));
        turns.add(std::make_shared<NamedLane>('c', 2, order));
    }
    order.all.get_future().wait();
    std::string taken(order.taken.begin(), order.taken.end());
    EXPECT_EQ(taken.substr(0, 8), "abcabcab");
    EXPECT_EQ(taken.substr(8), std::string(97, 'a'));
}

TEST(Turns, LetGoOfLanesWithoutWork) {
    Order order;
    order.expected = 1;
    std::weak_ptr<Lane> gone;
    {
        Turns turns(2);
        auto lane = std::make_shared<NamedLane>('a', 1, order);
        gone = lane;
        turns.add(std::move(lane));
        order.all.get_future().wait();
    }
    EXPECT_TRUE(gone.expired());
}

// Three hosts send as fast as they can, and one of them reads no receipt; a fourth host's
// attestations are answered all the same, one by one.
TEST(Fairness, HostsThatSendMuchOrReadNothingDoNotStallAnother) {
    TestKeys keys({"busy1.example", "busy2.example", "deaf.example", "quiet.example"});
    Scratch scratch;
    TestCollector collector(keys, scratch / "state");
    std::atomic<bool> done = false;
    std::atomic<uint64_t> answered = 0;
    auto busy = [&](const std::string &name) {
        TestHost host = keys.host(name);
        TestStream stream(collector.port(), keys, name);
        ASSERT_TRUE(stream.hello());
        std::thread writer([&] {
            while (!done && stream.send(host.attest())) {
            }
            stream.half_close();
        });
        while (stream.read())
            ++answered;
        writer.join();
    };
    std::thread first(busy, "busy1.example"), second(busy, "busy2.example");
    TestStream deaf(collector.port(), keys, "deaf.example");
    ASSERT_TRUE(deaf.hello());
    std::thread deaf_writer([&] {
        TestHost host = keys.host("deaf.example");
        while (!done && deaf.send(host.attest())) {
        }
    });

    TestHost host = keys.host("quiet.example");
    TestStream quiet(collector.port(), keys, "quiet.example");
    ASSERT_TRUE(quiet.hello());
    auto log_keys = keys.log_keys();
    std::vector<std::chrono::nanoseconds> waits;
    for (uint64_t sequence = 1; sequence <= 30; ++sequence) {
        Bytes attestation = host.attest();
        auto begin = std::chrono::steady_clock::now();
        ASSERT_TRUE(quiet.send(attestation));
        quiet.expect_receipt(attestation, sequence, log_keys);
        waits.push_back(std::chrono::steady_clock::now() - begin);
    }
    done = true;
    deaf.cancel();
    for (std::thread *thread : {&first, &second, &deaf_writer})
        thread->join();
    std::sort(waits.begin(), waits.end());
    EXPECT_LT(waits[waits.size() / 2], std::chrono::seconds(2));
    EXPECT_GT(answered, 60U); // the others were served too
}

} // namespace
} // namespace tally
