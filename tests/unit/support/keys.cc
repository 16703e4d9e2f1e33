#include "tests/unit/support/keys.h"

#include "base/durable.h"

#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tally {

namespace fs = std::filesystem;

namespace {

// Runs it with its standard output discarded and returns its exit status.
int run_quietly(std::vector<std::string> command) {
    std::vector<char *> arguments;
    arguments.reserve(command.size() + 1);
    for (std::string &word : command)
        arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_t pid = fork();
    if (pid == 0) {
        if (freopen("/dev/null", "w", stdout) != nullptr)
            execv(arguments[0], arguments.data());
        perror(arguments[0]);
        _exit(127);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

SigningKey key_of(const std::string &pem) {
    auto key = SigningKey::from_pem(pem);
    if (!key) {
        ADD_FAILURE() << key.error().message;
        std::abort();
    }
    return *std::move(key);
}

} // namespace

TestKeys::TestKeys(const std::vector<std::string> &hosts, const std::vector<std::string> &options) {
    std::string pattern = fs::temp_directory_path().string() + "/tally-keys-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr)
        std::abort();
    directory_ = pattern;
    fs::path tally = fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "tally";
    std::vector<std::string> command = {tally, "keys", directory_, "--collector", "localhost"};
    for (const std::string &host : hosts)
        command.insert(command.end(), {"--host", host});
    command.insert(command.end(), options.begin(), options.end());
    EXPECT_EQ(run_quietly(command), 0) << "build " << tally << " first";
}

TestKeys::~TestKeys() {
    fs::remove_all(directory_);
}

std::string TestKeys::read(const std::string &name) const {
    auto contents = read_text(path(name));
    EXPECT_TRUE(contents) << path(name);
    return contents ? *contents : std::string();
}

TestHost TestKeys::host(const std::string &name) const {
    return {name, signing_key(name), certificate(name)};
}

Bytes TestKeys::certificate(const std::string &host) const {
    return der_of(read("hosts/" + host + "/signing.pem"));
}

SigningKey TestKeys::signing_key(const std::string &host) const {
    return key_of(read("hosts/" + host + "/signing.key"));
}

std::vector<NoteKey> TestKeys::log_keys() const {
    auto keys = parse_vkeys(read("log.vkeys"));
    EXPECT_TRUE(keys);
    return keys ? *std::move(keys) : std::vector<NoteKey>();
}

std::vector<NoteSigner> TestKeys::log_signers() const {
    std::vector<NoteSigner> signers;
    for (const char *name : {"log/ed25519.key", "log/ecdsa.key"})
        signers.push_back({kOrigin, key_of(read(name))});
    return signers;
}

Bytes der_of(const std::string &pem) {
    std::string base64;
    std::string_view rest = pem;
    while (!rest.empty()) {
        std::string_view line = take_until(rest, '\n');
        if (line.starts_with("-----END"))
            break;
        if (!line.starts_with("-----"))
            base64 += line;
    }
    auto der = from_base64(base64);
    EXPECT_TRUE(der);
    return der ? *std::move(der) : Bytes();
}

} // namespace tally
