#include "tests/unit/support/keys.h"

#include "base/durable.h"

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <spawn.h>
#include <sys/wait.h>

namespace tally {

namespace fs = std::filesystem;

namespace {

// A test without its keys cannot say anything.
[[noreturn]] void give_up(const std::string &why) {
    std::fprintf(stderr, "TestKeys: %s\n", why.c_str());
    std::abort();
}

template <typename T> T must(Result<T> result, const std::string &what) {
    if (!result)
        give_up(what + ": " + result.error().message);
    return *std::move(result);
}

void run_quietly(const std::vector<std::string> &command) {
    std::vector<char *> arguments;
    for (const std::string &word : command)
        arguments.push_back(const_cast<char *>(word.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t pid = 0;
    int failure = posix_spawn(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failure != 0)
        give_up(command[0] + ": " + std::strerror(failure) + "; run `make` first");
    int status = 0;
    if (waitpid(pid, &status, 0) != pid || status != 0)
        give_up(command[0] + " failed");
}

} // namespace

std::string program_path(const std::string &name) {
    return (fs::read_symlink("/proc/self/exe").parent_path().parent_path() / name).string();
}

Bytes pem_to_der(const std::string &pem) {
    std::string base64;
    std::string_view rest = pem;
    for (bool inside = false; !rest.empty();) {
        std::string_view line = take_until(rest, '\n');
        if (line.starts_with("-----END"))
            break;
        if (inside)
            base64 += line;
        inside = inside || line.starts_with("-----BEGIN");
    }
    return must(from_base64(base64), "PEM");
}

TestKeys::TestKeys(const std::vector<std::string> &hosts, const std::vector<std::string> &options) {
    std::string pattern = (fs::temp_directory_path() / "tally-keys-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr)
        give_up("cannot create " + pattern);
    directory_ = pattern;
    std::vector<std::string> command = {
        program_path("tally"), "keys", directory_, "--collector", "localhost", "--origin", kOrigin};
    for (const std::string &host : hosts)
        command.insert(command.end(), {"--host", host});
    command.insert(command.end(), options.begin(), options.end());
    run_quietly(command);
}

TestKeys::~TestKeys() {
    std::error_code ignored;
    fs::remove_all(directory_, ignored);
}

std::string TestKeys::read(const std::string &name) const {
    return must(read_text(path(name)), name);
}

SigningKey TestKeys::signing_key(const std::string &host) const {
    std::string name = "hosts/" + host + "/signing.key";
    return must(SigningKey::from_pem(read(name)), name);
}

Bytes TestKeys::certificate(const std::string &host) const {
    return pem_to_der(read("hosts/" + host + "/signing.pem"));
}

std::vector<NoteKey> TestKeys::log_keys() const {
    return must(parse_vkeys(read("log.vkeys")), "log.vkeys");
}

std::vector<NoteSigner> TestKeys::log_signers() const {
    std::vector<NoteSigner> signers;
    for (const char *name : {"log/ed25519.key", "log/ecdsa.key"})
        signers.push_back({kOrigin, must(SigningKey::from_pem(read(name)), name)});
    return signers;
}

} // namespace tally
