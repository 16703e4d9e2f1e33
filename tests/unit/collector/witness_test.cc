// The collector and real witnesses (`tally witness`): receipts wait for their cosignatures.
#include "attest/receipt.h"
#include "base/durable.h"
#include "tests/unit/collector/program.h"
#include "tests/unit/collector/support.h"

#include <chrono>
#include <filesystem>
#include <gtest/gtest.h>
#include <thread>

namespace tally {
namespace {

using namespace std::chrono_literals;

struct WitnessProgram {
    std::string state, key, name;
    std::unique_ptr<Program> program;
    std::string port = "0";

    WitnessKey vkey() const {
        auto pem = SigningKey::from_pem(read_text(key).value());
        return witness_key(name, pem->verifying_key()).value();
    }
    void start(const TestKeys &keys) {
        program = std::make_unique<Program>(
            std::vector<std::string>{"witness", "--listen", "127.0.0.1:" + port, "--state", state,
                                     "--key", key, "--name", name, "--log-keys",
                                     keys.path("log.vkeys")},
            state + ".output", Program::Limits{RLIM_INFINITY, {}, "tally"});
        port = std::to_string(program->port());
        ASSERT_NE(port, "0") << program->output();
    }
};

class WitnessedTest : public testing::Test {
protected:
    TestKeys keys_;
    std::vector<NoteKey> log_keys_ = keys_.log_keys();
    Scratch scratch_;
    WitnessProgram first_, second_;
    std::unique_ptr<Program> collector_;
    TestHost host_ = keys_.host(kHost);

    void SetUp() override {
        for (auto *each : {&first_, &second_}) {
            each->name = each == &first_ ? "first.example" : "second.example";
            each->state = scratch_ / each->name;
            each->key = scratch_ / (each->name + ".key");
            TestKeys other;
            ASSERT_TRUE(replace_file(each->key, view(other.read("log/ed25519.key"))));
            each->start(keys_);
        }
    }
    void start_collector(int needed) {
        collector_.reset();
        std::string text = config_text(keys_, scratch_ / "state") +
                           "cosignatures = " + std::to_string(needed) + "\n";
        for (const auto *each : {&first_, &second_})
            text += "[[witness]]\nurl = \"http://127.0.0.1:" + each->port + "/\"\nvkey = \"" +
                    to_vkey(each->vkey()) + "\"\n";
        ASSERT_TRUE(replace_file(scratch_ / "collector.toml", view(text)));
        collector_ = std::make_unique<Program>(
            std::vector<std::string>{"--config", scratch_ / "collector.toml"}, scratch_ / "output");
        ASSERT_NE(collector_->port(), 0) << collector_->output();
    }
    size_t cosignatures(const std::string &note) const {
        return count_cosignatures(note, {first_.vkey(), second_.vkey()});
    }
    // Sends again what is not receipted until there is a receipt for it, as an agent does.
    pb::Receipt insist(const Bytes &attestation, uint64_t sequence) {
        for (int i = 0; i < 100; ++i, std::this_thread::sleep_for(100ms)) {
            TestStream stream(collector_->port(), keys_);
            auto resume = stream.hello(sequence);
            if (!resume)
                continue;
            if (resume->last_sequence() < sequence)
                stream.send(attestation);
            auto reply = stream.read();
            if (reply && reply->has_receipt()) {
                EXPECT_TRUE(check_receipt(reply->receipt(), leaf_hash(attestation), log_keys_));
                return reply->receipt();
            }
        }
        ADD_FAILURE() << "no receipt\n" << collector_->output();
        return {};
    }
    size_t published() const {
        return cosignatures(read_text(scratch_ / "state/log/checkpoint").value());
    }
};

TEST_F(WitnessedTest, ReceiptsCarryTheCosignatures) {
    start_collector(2);
    TestStream stream(collector_->port(), keys_);
    ASSERT_TRUE(stream.hello());
    for (uint64_t sequence = 1; sequence <= 20; ++sequence) {
        Bytes attestation = host_.attest();
        ASSERT_TRUE(stream.send(attestation));
        auto reply = stream.read();
        ASSERT_TRUE(reply && reply->has_receipt()) << collector_->output();
        EXPECT_TRUE(check_receipt(reply->receipt(), leaf_hash(attestation), log_keys_));
        EXPECT_EQ(cosignatures(reply->receipt().checkpoint()), 2U);
    }
    EXPECT_EQ(published(), 2U);
}

TEST_F(WitnessedTest, WithoutEnoughOfThemThereIsNoReceiptAndNothingIsLost) {
    start_collector(2);
    Bytes first = host_.attest(), second = host_.attest();
    insist(first, 1);
    second_.program->kill(SIGKILL);
    {
        TestStream stream(collector_->port(), keys_);
        ASSERT_TRUE(stream.hello(2));
        ASSERT_TRUE(stream.send(second));
        EXPECT_FALSE(stream.read());
        auto status = stream.finish();
        EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
        EXPECT_NE(status.error_message().find("fewer than 2 witnesses"), std::string::npos);
    }
    second_.start(keys_); // remembers what it cosigned
    EXPECT_EQ(cosignatures(insist(second, 2).checkpoint()), 2U);
    std::string output = collector_->output();
    EXPECT_NE(output.find("witness second.example (http://127.0.0.1:"), std::string::npos);
    EXPECT_NE(output.find("witness second.example: cosigns again"), std::string::npos) << output;
}

TEST_F(WitnessedTest, AWitnessThatIsNotNeededHoldsNothingUp) {
    start_collector(1);
    first_.program->kill(SIGKILL);
    TestStream stream(collector_->port(), keys_);
    ASSERT_TRUE(stream.hello());
    for (uint64_t sequence = 1; sequence <= 10; ++sequence) {
        Bytes attestation = host_.attest();
        ASSERT_TRUE(stream.send(attestation));
        stream.expect_receipt(attestation, sequence, log_keys_);
    }
    EXPECT_EQ(published(), 1U);
}

TEST_F(WitnessedTest, SurvivesSigkillBetweenLogAndWitness) {
    start_collector(1);
    uint64_t sequence = 0;
    for (int round = 0; round < 5; ++round) {
        std::thread killer([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(20 + 17 * round));
            collector_->kill(SIGKILL);
        });
        TestStream stream(collector_->port(), keys_);
        std::vector<Bytes> sent;
        if (auto resume = stream.hello(sequence + 1)) {
            for (int i = 0; i < 30 && stream.send(sent.emplace_back(host_.attest())); ++i) {
            }
            while (stream.read()) {
            }
        }
        killer.join();
        collector_->wait();
        start_collector(1);
        // A fork would be refused by both witnesses, for good.
        for (const Bytes &attestation : sent)
            insist(attestation, ++sequence);
    }
    EXPECT_GE(published(), 1U);
    EXPECT_EQ(collector_->output().find("does not cosign"), std::string::npos)
        << collector_->output();
}

TEST_F(WitnessedTest, ACollectorThatForgetsIsNotCosigned) {
    start_collector(1);
    for (uint64_t sequence = 1; sequence <= 3; ++sequence)
        insist(host_.attest(), sequence);
    collector_.reset();
    std::filesystem::remove_all(scratch_ / "state");
    start_collector(1);
    TestHost anew = keys_.host(kHost);
    TestStream stream(collector_->port(), keys_);
    ASSERT_TRUE(stream.hello());
    ASSERT_TRUE(stream.send(anew.attest()));
    EXPECT_FALSE(stream.read());
    EXPECT_EQ(stream.finish().error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_NE(collector_->output().find("does not cosign: status 409: 3"), std::string::npos)
        << collector_->output();
}

} // namespace
} // namespace tally
