// SIGKILL of the collector at random moments, while three hosts send all the time. Afterwards, each
// time: what was receipted is in the log where the receipt says, nothing is there twice, and the
// next start's log extends every checkpoint that a host was given. At the end log and index agree,
// and the auditor finds nothing but silence.
//
// TALLY_KILLS says how often: 20 by default, `make test-kill` 300.
#include "attest/receipt.h"
#include "base/durable.h"
#include "tests/unit/collector/program.h"
#include "tests/unit/collector/support.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <gtest/gtest.h>
#include <random>
#include <sys/wait.h>
#include <thread>

namespace tally {
namespace {

using namespace std::chrono_literals;

int kills() {
    const char *asked = std::getenv("TALLY_KILLS");
    return asked != nullptr ? std::atoi(asked) : 20;
}

// A host as the agent is: sends again what was not receipted, and holds on to its checkpoint.
class Sender {
public:
    Sender(const TestKeys &keys, const std::string &name)
        : keys_(keys), log_keys_(keys.log_keys()), name_(name), host_(keys.host(name)) {}

    // Until the collector is gone.
    void run(int port, std::atomic<uint64_t> &receipted) {
        TestStream stream(port, keys_, name_);
        auto resume = stream.hello(index_.size() + 1, known_.size);
        if (!resume)
            return;
        ASSERT_GE(resume->last_sequence(), index_.size()) << name_ << ": it lost what it receipted";
        ASSERT_LE(resume->last_sequence(), made_.size()) << name_;
        std::atomic<size_t> answered = resume->last_sequence();
        std::thread writer([&] {
            for (size_t next = resume->last_sequence();; ++next) {
                if (next == made_.size()) {
                    std::lock_guard lock(mutex_);
                    made_.push_back(host_.attest());
                }
                while (next >= answered + 64 && !over_)
                    std::this_thread::sleep_for(1ms);
                if (!stream.send(made_[next]))
                    return;
            }
        });
        while (auto reply = stream.read()) {
            if (!reply->has_receipt()) {
                ADD_FAILURE() << name_ << ": " << reply->refusal().reason();
                break;
            }
            take(reply->receipt());
            answered = std::max<size_t>(answered, index_.size());
            ++receipted;
        }
        over_ = true;
        writer.join();
        over_ = false;
    }
    // The log's entries from `first` on: ours among them, in order, each once.
    void check(uint64_t first, const std::vector<Bytes> &entries) {
        for (size_t i = 0; i < entries.size(); ++i) {
            if (statement_in(entries[i]).host() != name_)
                continue;
            ASSERT_LT(logged_, made_.size());
            ASSERT_TRUE(entries[i] == made_[logged_]) << name_ << " " << logged_ + 1;
            if (logged_ < index_.size()) {
                ASSERT_EQ(first + i, index_[logged_]) << name_ << ": not where its receipt says";
            }
            ++logged_;
        }
    }
    void expect_all_receipted_logged() const {
        ASSERT_GE(logged_, index_.size()) << name_ << ": receipted and not in the log";
    }
    size_t logged() const { return logged_; }
    const std::string &name() const { return name_; }

private:
    void take(const pb::Receipt &receipt) {
        ASSERT_EQ(receipt.sequence(), index_.size() + 1);
        Digest leaf{};
        {
            std::lock_guard lock(mutex_);
            leaf = leaf_hash(made_[receipt.sequence() - 1]);
        }
        auto next = check_receipt(receipt, leaf, log_keys_);
        ASSERT_TRUE(next) << next.error().message;
        auto extends = check_extends(receipt, known_, *next);
        ASSERT_TRUE(extends) << extends.error().message;
        known_ = *next;
        index_.push_back(receipt.index());
    }

    const TestKeys &keys_;
    std::vector<NoteKey> log_keys_;
    std::string name_;
    TestHost host_;
    std::mutex mutex_;
    std::deque<Bytes> made_;      // elements stay where they are
    std::vector<uint64_t> index_; // of each that was receipted
    Checkpoint known_;
    size_t logged_ = 0;
    std::atomic<bool> over_ = false;
};

TEST(Kill, AtAnyMomentLosesAndDoublesNothingThatWasAcknowledged) {
    std::vector<std::string> names = {"kill1.example", "kill2.example", "kill3.example"};
    TestKeys keys(names);
    Scratch scratch;
    std::string config = scratch / "collector.toml";
    ASSERT_TRUE(replace_file(config, view(config_text(keys, scratch / "state"))));
    std::vector<std::unique_ptr<Sender>> senders;
    for (const std::string &name : names)
        senders.push_back(std::make_unique<Sender>(keys, name));
    auto seed = std::random_device()();
    std::mt19937 random(seed);
    std::atomic<uint64_t> receipted = 0;
    uint64_t checked = 0;
    for (int round = 0; round < kills() && !testing::Test::HasFailure(); ++round) {
        SCOPED_TRACE("round " + std::to_string(round) + ", seed " + std::to_string(seed));
        Program program({"--config", config}, scratch / "output");
        int port = program.port();
        ASSERT_NE(port, 0) << program.output();
        std::vector<std::thread> running;
        for (auto &sender : senders)
            running.emplace_back([&] { sender->run(port, receipted); });
        // Once something was receipted: anywhere in the batches after it.
        uint64_t before = receipted;
        for (int i = 0; i < 2000 && receipted == before; ++i)
            std::this_thread::sleep_for(5ms);
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 60'000));
        program.kill(SIGKILL);
        EXPECT_EQ(program.wait(), -SIGKILL);
        for (std::thread &thread : running)
            thread.join();
        EXPECT_GT(receipted, before);

        auto log = TileLog::open(scratch / "state/log", keys.log_signers(), 0);
        ASSERT_TRUE(log) << log.error().message;
        while (checked < log->size()) {
            auto entries = log->entries(checked / kTileWidth);
            ASSERT_TRUE(entries) << entries.error().message;
            entries->erase(entries->begin(),
                           entries->begin() + static_cast<ptrdiff_t>(checked % kTileWidth));
            for (auto &sender : senders)
                sender->check(checked, *entries);
            checked += entries->size();
        }
        for (auto &sender : senders)
            sender->expect_all_receipted_logged();
    }

    // The index that lived through it all, and one made from the log alone, say the same.
    auto log = TileLog::open(scratch / "state/log", keys.log_signers(), 0);
    auto index = Index::open(scratch / "state/index.db");
    ASSERT_TRUE(log && index);
    ASSERT_TRUE(catch_up(*index, *log));
    auto fresh = Index::open(scratch / "fresh.db");
    ASSERT_TRUE(fresh);
    ASSERT_TRUE(catch_up(*fresh, *log));
    EXPECT_EQ(index->held({}).value(), fresh->held({}).value());
    EXPECT_EQ(index->coverage({}).value(), fresh->coverage({}).value());
    size_t all = 0;
    for (auto &sender : senders) {
        auto positions = index->positions(sender->name(), 1, SIZE_MAX / 4);
        ASSERT_TRUE(positions);
        EXPECT_EQ(positions->size(), sender->logged());
        all += positions->size();
    }
    EXPECT_EQ(all, log->size());

    std::string verify = built("tally") + " verify " + (scratch / "state/log") + " --log-keys " +
                         keys.path("log.vkeys") + " --fleet-root " + keys.path("fleet-ca.pem") +
                         " >" + (scratch / "verified") + " 2>&1";
    // Hosts' windows are as fast as the machine takes them: one that is far behind has fallen
    // silent.
    int status = WEXITSTATUS(std::system(verify.c_str()));
    std::string verified = read_text(scratch / "verified").value();
    EXPECT_LE(status, 1) << verified;
    for (size_t at = 0; (at = verified.find("finding: ", at)) != std::string::npos; ++at)
        EXPECT_EQ(verified.compare(at, 17, "finding: silence:"), 0) << verified;
    std::printf("%d kills, %llu receipts, log of %llu\n", kills(),
                static_cast<unsigned long long>(receipted.load()),
                static_cast<unsigned long long>(log->size()));
    std::fflush(stdout);
}

} // namespace
} // namespace tally
