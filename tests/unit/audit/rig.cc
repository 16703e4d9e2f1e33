#include "tests/unit/audit/rig.h"

#include "base/durable.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <google/protobuf/stubs/logging.h>
#include <sys/wait.h>

namespace tally {

namespace fs = std::filesystem;

Audit::Audit() : gpu1(keys.host("gpu1.example")), gpu2(keys.host("gpu2.example")) {
    google::protobuf::SetLogHandler(nullptr); // as the program does
}

void Audit::say(TestHost &host, size_t statements) {
    for (size_t i = 0; i < statements; i++)
        log.append(host.attest());
}

Account Audit::account(UsageSums usage, const Visit &also) const {
    auto source = Source::open(log.directory());
    EXPECT_TRUE(source);
    auto account = take_account(*source, trust(), std::move(usage), {}, also);
    EXPECT_TRUE(account) << account.error().message;
    return account ? *std::move(account) : Account();
}

std::string Audit::problem() const {
    auto verified = verify();
    return verified ? "verified" : verified.error().message;
}

Status Audit::verify() const {
    auto source = Source::open(log.directory());
    if (!source)
        return source.error();
    auto verified = walk(*source, trust(), [](const Entry &) {});
    if (!verified)
        return verified.error();
    return ok();
}

Trust Audit::trust() const {
    auto trust = Trust::load(keys.path("log.vkeys"), keys.path("fleet-ca.pem"));
    EXPECT_TRUE(trust);
    return *std::move(trust);
}

Audit::Outcome Audit::tally(const std::string &command) const {
    std::string program = fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "tally";
    std::string errors = keys.path("stderr");
    std::string line = program + " " + command + " --log-keys " + keys.path("log.vkeys") +
                       " --fleet-root " + keys.path("fleet-ca.pem") + " >" + keys.path("stdout") +
                       " 2>" + errors;
    int status = std::system(line.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), keys.read("stderr"),
            keys.read("stdout")};
}

std::vector<std::string> Audit::files() const {
    std::vector<std::string> names;
    for (const auto &file : fs::recursive_directory_iterator(log.directory())) {
        if (file.is_regular_file())
            names.push_back(file.path().lexically_relative(log.directory()).string());
    }
    std::sort(names.begin(), names.end());
    return names;
}

Bytes read_all(const std::string &path) {
    auto bytes = read_file(path);
    EXPECT_TRUE(bytes) << path;
    return bytes ? *std::move(bytes) : Bytes();
}

void write_all(const std::string &path, ByteView contents) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char *>(contents.data()),
               static_cast<std::streamsize>(contents.size()));
    EXPECT_TRUE(file.flush().good()) << path;
}

std::vector<std::string> lines_of(const std::vector<Finding> &findings) {
    std::vector<std::string> lines;
    lines.reserve(findings.size());
    for (const Finding &finding : findings)
        lines.push_back(finding.kind + ": " + finding.text);
    return lines;
}

} // namespace tally
