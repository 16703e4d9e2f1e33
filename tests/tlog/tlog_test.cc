// The log as a client reads it that was not written for it: reader.go, which `make test-tlog`
// builds beside this.
#include "base/durable.h"
#include "collector/log.h"
#include "tests/unit/collector/program.h"
#include "tests/unit/collector/support.h"

#include <filesystem>
#include <gtest/gtest.h>

namespace tally {
namespace {

class TlogTest : public testing::Test {
protected:
    void keep(const std::string &checkpoint) {
        kept_.push_back(scratch_ / ("earlier-" + std::to_string(kept_.size())));
        ASSERT_TRUE(replace_file(kept_.back(), view(checkpoint)));
    }

    // The reader's output, which begins with "refused: " if it does not hold.
    std::string read() {
        std::vector<std::string> arguments = {directory_, keys_.path("log.vkeys")};
        arguments.insert(arguments.end(), kept_.begin(), kept_.end());
        Program reader(arguments, scratch_ / "read", {.cpus = {}, .program = "tests/tlog-reader"});
        int status = reader.wait();
        std::string output = reader.output();
        EXPECT_EQ(status, output.starts_with("refused: ") ? 2 : 0) << output;
        return output;
    }

    std::string holds(uint64_t size, const Digest &root) const {
        return std::to_string(size) + " entries, " + std::to_string(kept_.size()) +
               " earlier checkpoints: " + to_base64(root) + "\n";
    }

    TestKeys keys_;
    Scratch scratch_;
    std::string directory_ = scratch_ / "state/log";
    std::vector<std::string> kept_;
};

TEST_F(TlogTest, AForeignClientReadsWhatTheCollectorLoggedAndRefusesWhatWasTouched) {
    ASSERT_TRUE(
        replace_file(scratch_ / "collector.toml", view(config_text(keys_, scratch_ / "state"))));
    Program collector({"--config", scratch_ / "collector.toml"}, scratch_ / "output");
    ASSERT_NE(collector.port(), 0) << collector.output();
    TestHost host = keys_.host(kHost);
    TestStream stream(collector.port(), keys_);
    ASSERT_TRUE(stream.hello());
    for (int i = 0; i < 600; ++i) {
        ASSERT_TRUE(stream.send(host.attest()));
        auto reply = stream.read();
        ASSERT_TRUE(reply && reply->has_receipt());
        if (i % 50 == 0)
            keep(reply->receipt().checkpoint());
    }
    stream.half_close();
    EXPECT_FALSE(stream.read());
    EXPECT_TRUE(stream.finish().ok());
    collector.kill(SIGTERM);
    ASSERT_EQ(collector.wait(), 0) << collector.output();

    auto log = TileLog::open(directory_, keys_.log_signers(), 600);
    ASSERT_TRUE(log) << log.error().message;
    auto root = log->root_at(600);
    ASSERT_TRUE(root);
    ASSERT_EQ(kept_.size(), 12U);
    EXPECT_EQ(read(), holds(600, *root));

    for (const char *name : {"checkpoint", "tile/0/000", "tile/0/001", "tile/0/002.p/88",
                             "tile/1/000.p/2", "tile/entries/000", "tile/entries/002.p/88"}) {
        std::string path = directory_ + "/" + name;
        size_t middle = std::filesystem::file_size(path) / 2;
        flip_byte(path, middle);
        EXPECT_TRUE(read().starts_with("refused: ")) << name;
        flip_byte(path, middle);
    }
    EXPECT_EQ(read(), holds(600, *root));

    // A checkpoint that the log signed for another history.
    auto forked = sign_checkpoint({log->origin(), 77, *root}, keys_.log_signers());
    ASSERT_TRUE(forked);
    keep(*forked);
    EXPECT_TRUE(read().starts_with("refused: " + kept_.back() + ", of size 77: "));
}

// From 256,000 entries on a bundle's path has two parts; from 65,536 on there are three levels.
TEST_F(TlogTest, AForeignClientFindsTheTilesOfALargeLog) {
    constexpr uint64_t kSize = 256'000 + 300;
    ASSERT_TRUE(make_directories(directory_));
    auto log = TileLog::open(directory_, keys_.log_signers(), 0);
    ASSERT_TRUE(log) << log.error().message;
    uint64_t size = 0;
    for (uint64_t batch : {1UL, 255UL, 65'279UL, 1UL, 100'000UL, 90'464UL, 300UL}) {
        std::vector<Bytes> entries;
        for (uint64_t i = 0; i < batch; ++i) {
            std::string entry = "entry " + std::to_string(size + i);
            entries.emplace_back(entry.begin(), entry.end());
        }
        ASSERT_TRUE(log->append(std::vector<ByteView>(entries.begin(), entries.end())));
        size += batch;
        keep(log->checkpoint());
    }
    ASSERT_EQ(size, kSize);
    ASSERT_TRUE(std::filesystem::exists(directory_ + "/tile/entries/x001/001.p/44"));
    ASSERT_TRUE(std::filesystem::exists(directory_ + "/tile/2/000.p/3"));
    auto root = log->root_at(size);
    ASSERT_TRUE(root);
    EXPECT_EQ(read(), holds(size, *root));
}

} // namespace
} // namespace tally
