// A log read from a web server: Python's own, which serves files and knows nothing of logs.
#include "audit/copy.h"
#include "tests/unit/audit/rig.h"

#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <sys/wait.h>
#include <unistd.h>

namespace tally {

namespace {

namespace fs = std::filesystem;

// Serves a directory on a port of its own until it goes.
class WebServer {
public:
    explicit WebServer(const std::string &directory) {
        int said[2];
        if (pipe(said) != 0)
            return;
        pid_ = fork();
        if (pid_ == 0) {
            dup2(said[1], STDOUT_FILENO);
            int none = open("/dev/null", O_WRONLY);
            dup2(none, STDERR_FILENO);
            execlp("python3", "python3", "-u", "-m", "http.server", "0", "--bind", "127.0.0.1",
                   "--directory", directory.c_str(), nullptr);
            _exit(127);
        }
        close(said[1]);
        // "Serving HTTP on 127.0.0.1 port 41234 ..."
        std::string line;
        for (char byte = 0; read(said[0], &byte, 1) == 1 && byte != '\n';)
            line += byte;
        said_ = said[0];
        size_t at = line.find("port ");
        if (at != std::string::npos)
            address = "http://127.0.0.1:" + std::to_string(std::stoi(line.substr(at + 5)));
    }
    ~WebServer() {
        if (pid_ > 0)
            kill(pid_, SIGKILL);
        if (pid_ > 0)
            waitpid(pid_, nullptr, 0);
        close(said_);
    }
    WebServer(const WebServer &) = delete;
    WebServer &operator=(const WebServer &) = delete;

    std::string address;

private:
    pid_t pid_ = -1;
    int said_ = -1;
};

class CopyAudit : public Audit {
protected:
    Status copy() const { return copy_log(server.address, trust().log_keys, directory); }
    std::string copy_error() const {
        Status copied = copy();
        return copied ? "copied" : copied.error().message;
    }
    std::string verified() const {
        auto source = Source::open(directory);
        auto taken = take_account(*source, trust(), UsageSums(), {}, {});
        return taken ? verification_text(*taken) : taken.error().message;
    }

    WebServer server{log.directory()};
    std::string directory = keys.path("copy");
};

TEST_F(CopyAudit, ACopySaysWhatTheLogSaysAndGrowsWithIt) {
    ASSERT_NE(server.address, "");
    for (size_t more : {3, 300, 1, 255, 700}) {
        say(gpu1, more);
        log.publish();
        ASSERT_TRUE(copy()) << copy_error();
        EXPECT_EQ(verified(), verification_text(account()));
    }
}

TEST_F(CopyAudit, WhatIsThereIsNotFetchedAgain) {
    say(gpu1, 600);
    log.publish();
    ASSERT_TRUE(copy());
    fs::remove(path("tile/entries/000"));
    say(gpu1, 5);
    log.publish();
    fs::remove(path("tile/entries/001"));
    EXPECT_TRUE(copy()) << copy_error();
}

TEST_F(CopyAudit, AFullTileStandsInForAPartialOne) {
    say(gpu1, 200);
    log.publish();
    Bytes early = read_all(path("checkpoint"));
    say(gpu1, 100);
    log.publish();
    fs::remove_all(path("tile/entries/000.p"));
    fs::remove_all(path("tile/0/000.p"));
    write_all(path("checkpoint"), early);
    ASSERT_TRUE(copy()) << copy_error();
    EXPECT_NE(verified().find("200 attestations"), std::string::npos) << verified();
}

TEST_F(CopyAudit, WhatIsMissingIsNamedAndTheOldCopyStays) {
    say(gpu1, 300);
    log.publish();
    ASSERT_TRUE(copy());
    say(gpu1, 300);
    log.publish();
    fs::remove(path("tile/entries/001"));
    EXPECT_NE(copy_error().find(server.address + "/tile/entries/001: missing"), std::string::npos)
        << copy_error();
    EXPECT_NE(verified().find("300 attestations"), std::string::npos) << verified();
}

TEST_F(CopyAudit, AnotherLogAndNoLogAreRefused) {
    EXPECT_NE(copy_error().find("/checkpoint: there is none"), std::string::npos) << copy_error();
    say(gpu1, 3);
    log.publish();
    Bytes note = read_all(path("checkpoint"));
    note[note.size() - 5] ^= 1;
    write_all(path("checkpoint"), note);
    EXPECT_NE(copy_error().find("/checkpoint: "), std::string::npos);
    EXPECT_FALSE(fs::exists(directory));
    write_all(path("checkpoint"), Bytes(100'000, 'x'));
    EXPECT_NE(copy_error().find("longer than a log's can be"), std::string::npos) << copy_error();
    EXPECT_NE(copy_log("http://127.0.0.1:1", trust().log_keys, directory)
                  .error()
                  .message.find("127.0.0.1:1/checkpoint: "),
              std::string::npos);
}

TEST_F(CopyAudit, EveryCommandTakesAnAddress) {
    say(gpu1, 3);
    log.publish();
    setenv("XDG_CACHE_HOME", keys.path("cache").c_str(), 1);
    auto where = copy_directory(server.address);
    ASSERT_TRUE(where);
    Outcome here = tally("verify " + log.directory());
    EXPECT_EQ(here.status, 0) << here.errors;
    EXPECT_FALSE(fs::exists(*where));
    Outcome there = tally("verify " + server.address);
    EXPECT_EQ(there.status, 0) << there.errors;
    EXPECT_EQ(there.output, here.output);
    EXPECT_TRUE(fs::exists(*where + "/checkpoint"));
}

} // namespace

} // namespace tally
