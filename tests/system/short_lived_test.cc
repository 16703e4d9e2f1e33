// Workloads that come and go by the thousand: each opens the device and is gone, with its cgroup,
// before anybody can look. Every open is kept, named where there was time to, and the agent stays
// small. TALLY_WORKLOADS=10000 does a minute of it.
#include "tests/system/attested.h"
#include "tests/system/lab.h"
#include "tests/system/passing.h"

#include "base/durable.h"

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tally {
namespace {

constexpr uint64_t kEvery = 6'000'000; // ns: 10,000 in a minute

size_t workloads() {
    const char *given = std::getenv("TALLY_WORKLOADS");
    return given != nullptr ? std::strtoul(given, nullptr, 10) : 1000;
}

// One workload, from its cgroup's making to its removal. Whether the device was opened.
bool live(const std::string &directory) {
    if (mkdir(directory.c_str(), 0755) != 0)
        return false;
    bool opened = false;
    {
        Fd cgroup(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        pid_t pid = fork_into(cgroup.get());
        if (pid == 0)
            _exit(open("/dev/full", O_RDONLY | O_CLOEXEC) >= 0 ? 0 : 1);
        int status = -1;
        opened = pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
    }
    return rmdir(directory.c_str()) == 0 && opened;
}

long resident_kib(pid_t pid, const std::string &what) {
    auto status = read_text("/proc/" + std::to_string(pid) + "/status");
    size_t at = status ? status->find(what) : std::string::npos;
    return at == std::string::npos ? -1 : std::stol(status->substr(at + what.size()));
}

// proc(5): clear_refs
void forget_peak(pid_t pid) {
    Fd refs(open(("/proc/" + std::to_string(pid) + "/clear_refs").c_str(), O_WRONLY | O_CLOEXEC));
    EXPECT_EQ(write(refs.get(), "5", 1), 1);
}

std::string with_long_windows(std::string config) {
    const std::string key = "\nwindow_seconds = ";
    return config.replace(config.find(key) + key.size(), 1, "10");
}

TEST(ShortLived, EveryHoldIsNamedOrKeptAndTheAgentStaysSmall) {
    Lab lab;
    std::string parent = lab.cgroup("jobs");
    std::string below = "/" + std::filesystem::path(parent).parent_path().filename().string();
    lab.write("tenants.d/lab.toml",
              "[[tenant]]\nname = \"acme\"\nprefixes = [\"" + below + "/jobs/acme-\"]\n");
    size_t count = workloads();
    if (count >= 10'000) // long enough for windows as they are by default
        lab.write("tallyd.toml", with_long_windows(lab.agent_config(
                                     "[[device]]\nname = \"stand-in\"\nnode = \"/dev/full\"\n")));
    lab.start_collector();
    lab.start_agent({"--hooks=traced"});
    forget_peak(lab.agent().pid()); // loading BPF takes more than all that comes later
    long before = resident_kib(lab.agent().pid(), "VmRSS:");

    long halfway = 0;
    size_t opened = 0;
    uint64_t begin = boottime_ns();
    for (size_t i = 0; i < count; i++) {
        uint64_t due = begin + i * kEvery;
        if (uint64_t at = boottime_ns(); at < due)
            sleep_ms(static_cast<unsigned>((due - at) / 1'000'000));
        if (i == count / 2)
            halfway = resident_kib(lab.agent().pid(), "VmRSS:");
        const char *whose = i % 2 == 0 ? "/acme-" : "/other-";
        opened += live(parent + whose + std::to_string(i)) ? 1 : 0;
    }
    double taken = static_cast<double>(boottime_ns() - begin) / 1e9;
    sleep_ms(1500);
    long after = resident_kib(lab.agent().pid(), "VmRSS:");
    long most = resident_kib(lab.agent().pid(), "VmHWM:");
    lab.stop_all();
    ASSERT_EQ(opened, count);

    auto statements = read_statements(lab);
    ASSERT_TRUE(statements) << statements.error().message;
    size_t acme = 0;
    size_t other = 0;
    size_t unnamed = 0;
    size_t bytes = 0;
    uint64_t lost = 0;
    for (const pb::Statement &statement : *statements) {
        bytes += statement.ByteSizeLong();
        for (const pb::Loss &loss : statement.recording().losses())
            lost += loss.count();
        for (const pb::Usage &usage : statement.usage()) {
            const pb::Workload &workload = statement.workloads(static_cast<int>(usage.workload()));
            bool is_acme = workload.cgroup_path().starts_with(below + "/jobs/acme-");
            EXPECT_EQ(workload.tenant(), is_acme ? "acme" : "") << workload.cgroup_path();
            (is_acme ? acme : workload.cgroup_path().empty() ? unnamed : other) += usage.opens();
        }
    }
    EXPECT_EQ(lost, 0U);
    EXPECT_EQ(acme + other + unnamed, count);
    std::printf("%zu workloads in %.1f s: opens of acme %zu, of named others %zu, gone before they "
                "could be named %zu; %zu bytes for each\n",
                count, taken, acme, other, unnamed, bytes / count);
    std::printf("tallyd: %ld KiB before, %ld halfway, %ld after, %ld at most\n", before, halfway,
                after, most);
#ifndef __SANITIZE_ADDRESS__
    EXPECT_LE(most, 12 * 1024);
    EXPECT_LE(after, halfway + 1024); // it does not grow with how many there were
#endif
}

} // namespace
} // namespace tally
