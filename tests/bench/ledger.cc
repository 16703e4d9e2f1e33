// `make bench-ledger`: what the collector takes from hosts end to end (mutual TLS, verified,
// durable, receipted), beside this machine's own OpenSSL verify rate and fdatasync rate in the same
// run. The collector has CPU 0 to itself, the load the other CPUs. Its rate is the wall clock's, so
// time that it waits is lost to it; the CPU time of all its threads stands beside. A few of each
// host's go ahead untimed: the first of a chain brings a certificate, which costs three signatures
// more, once in a host's life.
#include "base/durable.h"
#include "tests/bench/ledger_load.h"
#include "tests/bench/ledger_sizes.h"
#include "tests/bench/machine.h"
#include "tests/unit/collector/program.h"
#include "tests/unit/collector/support.h"

#include <algorithm>
#include <cstdio>
#include <fcntl.h>
#include <sched.h>
#include <sstream>
#include <thread>
#include <unistd.h>

namespace {

using namespace tally;
using Clock = std::chrono::steady_clock;

constexpr int kCollectorCpu = 0;
constexpr size_t kAhead = 2; // of each host

// STREAMS="1 50 1000", one run each.
std::vector<size_t> stream_counts() {
    const char *value = std::getenv("STREAMS");
    std::istringstream words(value != nullptr ? value : "1 50 1000");
    std::vector<size_t> counts;
    for (size_t count = 0; words >> count;)
        counts.push_back(std::max<size_t>(count, 1));
    return counts;
}

void use_other_cpus() {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    for (unsigned cpu = 1; cpu < std::thread::hardware_concurrency(); ++cpu)
        CPU_SET(cpu, &cpus);
    if (CPU_COUNT(&cpus) > 0)
        sched_setaffinity(0, sizeof(cpus), &cpus);
}

double fdatasync_rate(const std::string &path) {
    Fd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    Bytes block(4096, 'x');
    auto begin = Clock::now();
    int syncs = 0;
    double seconds = 0;
    for (; seconds < 1; ++syncs) {
        if (!append_durably(fd.get(), block, path))
            return 0;
        seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    }
    return syncs / seconds;
}

// Of /proc/PID/stat and /proc/PID/statm.
double cpu_seconds(pid_t pid) {
    std::string stat = read_text("/proc/" + std::to_string(pid) + "/stat").value();
    unsigned long user = 0, system = 0;
    std::sscanf(stat.c_str() + stat.rfind(')'),
                ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    return static_cast<double>(user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double resident_kib(pid_t pid) {
    std::string statm = read_text("/proc/" + std::to_string(pid) + "/statm").value();
    unsigned long pages = 0;
    std::sscanf(statm.c_str(), "%*u %lu", &pages);
    return static_cast<double>(pages) * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1024;
}

std::vector<LoadHost> sign_ahead(const TestKeys &keys, size_t hosts, size_t each) {
    std::vector<LoadHost> all;
    for (size_t i = 0; i < hosts; ++i) {
        std::string name = "gpu" + std::to_string(i) + ".example";
        TestHost host = keys.host(name);
        LoadHost &load = all.emplace_back();
        load.name = name;
        for (size_t k = 0; k < each; ++k)
            load.attestations.push_back(host.attest());
    }
    return all;
}

void run(const TestKeys &keys, size_t streams, size_t total, double verify_rate) {
    Scratch scratch;
    std::string config = scratch / "collector.toml";
    if (!replace_file(config, view(config_text(keys, scratch / "state"))))
        std::exit(1);
    Program collector({"--config", config}, scratch / "output", {RLIM_INFINITY, {kCollectorCpu}});
    int port = collector.port();
    if (port == 0) {
        std::fputs(collector.output().c_str(), stderr);
        std::exit(1);
    }
    size_t each = std::max<size_t>(total / streams, 4);
    size_t paced = std::max<size_t>(each / 2, 2);
    auto hosts = sign_ahead(keys, streams, kAhead + each + paced);
    size_t bytes = hosts[0].attestations.back().size();
    double before = resident_kib(collector.pid());
    Load load(port, keys, std::move(hosts));
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    double idle = (resident_kib(collector.pid()) - before) / static_cast<double>(streams);

    load.send(kAhead);
    double cpu = cpu_seconds(collector.pid());
    Timing full = load.send(each);
    cpu = cpu_seconds(collector.pid()) - cpu;
    auto sent = static_cast<double>(each * streams);
    double rate = sent / full.seconds;
    Timing half = load.send(paced, rate / 2);
    std::printf("%5zu  %7.0f/s  %5.1f %%  %6.1f us  %7.1f %7.1f  %7.1f %7.1f  %7.1f KiB  %zu B\n",
                streams, rate, 100 * rate / verify_rate, 1e6 * cpu / sent, full.at(0.5),
                full.at(0.99), half.at(0.5), half.at(0.99), idle, bytes);
    std::fflush(stdout);
    if (full.failed + half.failed > 0) {
        std::fprintf(stderr, "%zu streams failed:\n%s", full.failed + half.failed,
                     collector.output().c_str());
        std::exit(1);
    }
}

} // namespace

int main() {
    std::vector<size_t> counts = stream_counts();
    size_t most = *std::max_element(counts.begin(), counts.end());
    auto total = static_cast<size_t>(environment("ATTESTATIONS", 20000));
    std::vector<std::string> names;
    for (size_t i = 0; i < most; ++i)
        names.push_back("gpu" + std::to_string(i) + ".example");
    TestKeys keys(names);
    Scratch scratch;
    double verify_rate = openssl_rate(1, std::to_string(kCollectorCpu));
    use_other_cpus();
    std::printf(
        "OpenSSL verifies %.0f P-256 signatures a second on the collector's one CPU; the disk "
        "does %.0f fdatasync a second\n\n",
        verify_rate, fdatasync_rate(scratch / "sync"));
    std::printf(
        "streams  receipted   of verify  CPU each     p50     p99 ms   p50     p99 ms  memory\n"
        "                        rate                 full load        half load        per "
        "stream\n");
    for (size_t streams : counts)
        run(keys, streams, total, verify_rate);
    print_sizes(keys, names[0]);
    return 0;
}
