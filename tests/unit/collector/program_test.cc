// The real program: its exit statuses, its lines, and that SIGKILL loses nothing it acknowledged.
#include "base/durable.h"
#include "tests/unit/collector/program.h"
#include "tests/unit/collector/support.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <gtest/gtest.h>
#include <thread>

namespace tally {
namespace {

class ProgramTest : public testing::Test {
protected:
    TestKeys keys_;
    Scratch scratch_;
    std::string config_ = scratch_ / "collector.toml";
    std::string good_ = config_text(keys_, scratch_ / "state");

    void SetUp() override { write_config(good_); }
    void write_config(const std::string &text) { ASSERT_TRUE(replace_file(config_, view(text))); }
    void replace_in_config(const std::string &from, const std::string &to) {
        std::string text = good_;
        size_t at = text.find(from);
        ASSERT_NE(at, std::string::npos) << from;
        write_config(text.replace(at, from.size(), to));
    }
    // Runs to the end; expects this status and one line that says `words`.
    void expect_end(const std::vector<std::string> &arguments, int status,
                    const std::string &words) {
        Program program(arguments, scratch_ / "output");
        EXPECT_EQ(program.wait(), status) << words;
        std::string output = program.output();
        EXPECT_NE(output.find(words), std::string::npos) << output;
        if (status != 0 && !arguments.empty() && arguments[0] == "--config") {
            EXPECT_EQ(std::count(output.begin(), output.end(), '\n'), 1) << output;
        }
    }
    Program start() { return {{"--config", config_}, scratch_ / "output"}; }
};

TEST_F(ProgramTest, TellsItsVersionAndChecksAConfiguration) {
    expect_end({"--version"}, 0, "tally-collector 0.");
    expect_end({"--help"}, 0, "--config");
    expect_end({"--config", config_, "--check-config"}, 0, "good");
    EXPECT_FALSE(std::filesystem::exists(scratch_ / "state"));
}

TEST_F(ProgramTest, RefusesWrongUsage) {
    expect_end({}, 2, "--config");
    expect_end({"--nonsense"}, 2, "--config");
}

TEST_F(ProgramTest, NamesWhatIsWrongInTheConfiguration) {
    struct Case {
        std::string from, to, words;
    };
    for (const auto &[from, to, words] : std::vector<Case>{
             {"listen = ", "lisen = ", ":1: lisen: unknown key"},
             {"\"127.0.0.1:0\"", "7443", ":1: listen: must be a string"},
             {"\"127.0.0.1:0\"", "\"localhost\"", "listen: must be ADDRESS:PORT"},
             {"\"127.0.0.1:0\"", "\"localhost:99999\"", "listen: must be ADDRESS:PORT"},
             {"[log]", "[logg]", "log"},
             {"\"example.com/fleet\"", "\"https://example.com\"", "origin: must be a URL"},
             {"tls.key\"", "none.key\"", "none.key: No such file"},
             {"collector/tls.key", "fleet-ca.key", "is not the key of"},
             {"collector/tls.pem", "collector/tls.key", "not a certificate"},
             {"log/ed25519.key", "log/ecdsa.key", "is not an Ed25519 key"},
             {"fleet-ca.pem", "log.vkeys", "log.vkeys: "},
         }) {
        replace_in_config(from, to);
        expect_end({"--config", config_}, 2, words);
    }
    expect_end({"--config", scratch_ / "none.toml"}, 2, "none.toml: No such file");
}

TEST_F(ProgramTest, RefusesAnExpiredCertificateOfItsOwn) {
    TestKeys expired({kHost}, {"--expired"});
    replace_in_config(keys_.path("collector/tls.pem"), expired.path("collector/tls.pem"));
    std::string text = read_text(config_).value();
    size_t at = text.find(keys_.path("collector/tls.key"));
    write_config(text.replace(at, keys_.path("collector/tls.key").size(),
                              expired.path("collector/tls.key")));
    expect_end({"--config", config_}, 2, "has expired");
}

TEST_F(ProgramTest, RefusesAStateDirectoryThatItCannotUse) {
    ASSERT_TRUE(replace_file(scratch_ / "file", view("")));
    replace_in_config(scratch_ / "state", scratch_ / "file");
    expect_end({"--config", config_}, 4, scratch_ / "file");

    write_config(good_);
    ASSERT_TRUE(make_directories(scratch_ / "state/log"));
    ASSERT_TRUE(replace_file(scratch_ / "state/log/checkpoint", view("rubbish\n")));
    expect_end({"--config", config_}, 4, "log/checkpoint: ");
}

TEST_F(ProgramTest, KeepsASecondCollectorOut) {
    Program first = start();
    ASSERT_NE(first.port(), 0);
    Program second({"--config", config_}, scratch_ / "second");
    EXPECT_EQ(second.wait(), 4);
    EXPECT_NE(second.output().find("in use by another tally-collector"), std::string::npos);
}

TEST_F(ProgramTest, RefusesAPortThatIsTaken) {
    Program first = start();
    int port = first.port();
    ASSERT_NE(port, 0);
    std::string text = config_text(keys_, scratch_ / "other");
    size_t at = text.find("127.0.0.1:0");
    ASSERT_TRUE(replace_file(scratch_ / "second.toml",
                             view(text.replace(at, 11, "127.0.0.1:" + std::to_string(port)))));
    Program second({"--config", scratch_ / "second.toml"}, scratch_ / "second");
    EXPECT_EQ(second.wait(), 1);
    EXPECT_NE(second.output().find("cannot listen on"), std::string::npos) << second.output();
}

TEST_F(ProgramTest, StopsCleanlyOnSigterm) {
    for (uint64_t round = 0; round < 2; ++round) {
        Program program = start();
        int port = program.port();
        ASSERT_NE(port, 0);
        EXPECT_NE(program.output().find("log example.com/fleet at size " + std::to_string(round)),
                  std::string::npos)
            << program.output();
        TestHost host = keys_.host(kHost);
        TestStream stream(port, keys_);
        auto resume = stream.hello();
        ASSERT_TRUE(resume);
        EXPECT_EQ(resume->last_sequence(), round);
        if (round == 0) {
            Bytes attestation = host.attest();
            ASSERT_TRUE(stream.send(attestation));
            stream.expect_receipt(attestation, 1, keys_.log_keys());
        }
        program.kill(SIGTERM);
        while (stream.read()) {
        }
        EXPECT_EQ(stream.finish().error_code(), grpc::StatusCode::UNAVAILABLE);
        EXPECT_EQ(program.wait(), 0);
    }
}

// Streams until the collector goes away; what was receipted, in order.
std::vector<Bytes> load(int port, const TestKeys &keys, TestHost &host, std::vector<Bytes> &made,
                        size_t padding, const std::function<void()> &on_receipt) {
    TestStream stream(port, keys);
    auto resume = stream.hello(made.size() + 1);
    if (!resume)
        return {};
    // What the log has beyond our receipts was durable before the kill.
    size_t receipted = resume->last_sequence();
    std::thread writer([&] {
        for (size_t next = receipted;; ++next) {
            if (next == made.size()) {
                pb::Statement statement = host.next();
                statement.mutable_workloads(0)->set_cgroup_path(std::string(padding, 'p'));
                made.push_back(host.attest(statement));
            }
            if (!stream.send(made[next]))
                break;
        }
    });
    while (auto reply = stream.read()) {
        if (!reply->has_receipt()) {
            ADD_FAILURE() << reply->refusal().reason();
            break;
        }
        receipted = reply->receipt().sequence();
        on_receipt();
    }
    writer.join();
    return {made.begin(), made.begin() + static_cast<ptrdiff_t>(receipted)};
}

void expect_logged(const TestKeys &keys, const std::string &directory,
                   const std::vector<Bytes> &receipted) {
    auto logged = log_entries(keys, directory);
    ASSERT_GE(logged.size(), receipted.size());
    EXPECT_TRUE(std::equal(receipted.begin(), receipted.end(), logged.begin()));
}

TEST_F(ProgramTest, SigkillUnderLoadLosesNothingReceipted) {
    TestHost host = keys_.host(kHost);
    std::vector<Bytes> made;
    for (int round = 0; round < 5; ++round) {
        Program program = start();
        int port = program.port();
        ASSERT_NE(port, 0) << program.output();
        // In the midst of it: the writer is far ahead of the receipts.
        size_t receipts = 0;
        auto receipted = load(port, keys_, host, made, 100, [&] {
            if (++receipts == 50 + 37 * static_cast<size_t>(round))
                program.kill(SIGKILL);
        });
        EXPECT_EQ(program.wait(), -SIGKILL);
        EXPECT_GE(receipts, 50U);
        expect_logged(keys_, scratch_ / "state/log", receipted);
    }
    // What the auditor says to a log that was recovered five times.
    std::string verify = built("tally") + " verify " + (scratch_ / "state/log") + " --log-keys " +
                         keys_.path("log.vkeys") + " --fleet-root " + keys_.path("fleet-ca.pem") +
                         " >" + (scratch_ / "verified") + " 2>&1";
    EXPECT_EQ(std::system(verify.c_str()), 0) << read_text(scratch_ / "verified").value();
}

TEST_F(ProgramTest, AFullDiskStopsItAndLosesNothingReceipted) {
    TestHost host = keys_.host(kHost);
    std::vector<Bytes> made, receipted;
    {
        Program program({"--config", config_}, scratch_ / "output", {300'000, {}});
        int port = program.port();
        ASSERT_NE(port, 0) << program.output();
        {
            // One by one first: a batch fails as a whole, and under load it takes all there is.
            TestStream stream(port, keys_);
            ASSERT_TRUE(stream.hello(1));
            while (made.size() < 20) {
                ASSERT_TRUE(stream.send(made.emplace_back(host.attest())));
                stream.expect_receipt(made.back(), made.size(), keys_.log_keys());
            }
        }
        receipted = load(port, keys_, host, made, 2000, [] {});
        EXPECT_EQ(program.wait(), 1);
        EXPECT_NE(program.output().find("stopping, the next start recovers the log"),
                  std::string::npos)
            << program.output();
    }
    EXPECT_GT(receipted.size(), 10U);
    Program program = start();
    ASSERT_NE(program.port(), 0) << program.output();
    TestStream stream(program.port(), keys_);
    auto resume = stream.hello(made.size());
    ASSERT_TRUE(resume);
    EXPECT_GE(resume->last_sequence(), receipted.size());
    program.kill(SIGTERM);
    while (stream.read()) {
    }
    EXPECT_EQ(program.wait(), 0);
    expect_logged(keys_, scratch_ / "state/log", receipted);
}

} // namespace
} // namespace tally
