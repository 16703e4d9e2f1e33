// `make bench-audit`: what an auditor and the collector's index take over the log of a large fleet,
// beside this machine's own OpenSSL verify rate in the same run. ATTESTATIONS says how many,
// TALLY=0 leaves out what `tally` itself does, which is most of the time; the log lies where TMPDIR
// says (about 430 bytes each, and as much again for the index) and in the page cache, as far as
// that goes.
#include "base/durable.h"
#include "tests/bench/audit_fleet.h"
#include "tests/bench/ledger_sizes.h"
#include "tests/bench/machine.h"
#include "tests/unit/collector/program.h"
#include "tests/unit/collector/support.h"

#include <chrono>
#include <cstdio>
#include <fcntl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace {

using namespace tally;
using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

[[noreturn]] void give_up(const std::string &why) {
    std::fprintf(stderr, "bench-audit: %s\n", why.c_str());
    std::exit(1);
}

struct Taken {
    double seconds = 0;
    double cpu_seconds = 0;
    double mib = 0; // resident at most
};

// In a child: what a parent has resident is counted for the programs that it runs.
template <typename Work> Taken in_child(Work work) {
    auto begin = Clock::now();
    std::fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(work());
    int status = 0;
    rusage used{};
    wait4(pid, &status, 0, &used);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        give_up("exit status " + std::to_string(status >> 8));
    auto seconds = [](const timeval &time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return {since(begin), seconds(used.ru_utime) + seconds(used.ru_stime),
            static_cast<double>(used.ru_maxrss) / 1024};
}

// A program that was built, its standard output in a file.
Taken run(std::vector<std::string> command, const std::string &output) {
    command[0] = built(command[0]);
    std::vector<char *> argv;
    for (std::string &word : command)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    return in_child([&] {
        Fd out(open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        dup2(out.get(), STDOUT_FILENO);
        execv(argv[0], argv.data());
        return 127;
    });
}

// Lines of what a program printed.
size_t lines(const std::string &path) {
    std::string text = read_text(path, size_t{1} << 30).value();
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

void print(const char *what, const Taken &taken, double count) {
    std::printf("%-40s %8.2f s  %9.0f/s  %7.2f CPU-s  %7.1f MiB\n", what, taken.seconds,
                count / taken.seconds, taken.cpu_seconds, taken.mib);
    std::fflush(stdout);
}

} // namespace

int main() {
    auto count = static_cast<size_t>(environment("HOSTS", 1000));
    auto total = static_cast<size_t>(environment("ATTESTATIONS", 100'000)) / count * count;
    std::vector<std::string> hosts;
    for (size_t i = 0; i < count; i++)
        hosts.push_back("gpu" + std::to_string(i) + ".example");
    TestKeys keys(hosts);
    Scratch scratch;
    std::string state = scratch / "state";
    std::string log = state + "/log";
    std::string output = scratch / "output";
    auto made = static_cast<double>(total);
    std::printf("%zu attestations of %zu hosts\n", total, count);
    print("signed and written", in_child([&] {
              auto written = write_fleet_log(keys, hosts, total, log);
              if (!written)
                  std::fprintf(stderr, "%s\n", written.error().message.c_str());
              return written ? 0 : 1;
          }),
          made);

    auto tally = [&](std::vector<std::string> words) {
        words.insert(words.begin(), "tally");
        words.insert(words.end(), {"--log-keys", keys.path("log.vkeys"), "--fleet-root",
                                   keys.path("fleet-ca.pem")});
        return run(words, output);
    };
    bool tallied = environment("TALLY", 1) != 0;
    unsigned cpus = std::thread::hardware_concurrency();
    double before = openssl_rate(cpus);
    Taken verify = tallied ? tally({"verify", log}) : Taken();
    double after = openssl_rate(cpus);
    double rate = (before + after) / 2;
    std::printf("OpenSSL verifies %.0f P-256 signatures a second on %u CPUs (%.0f before tally "
                "verify, %.0f after)\n",
                rate, cpus, before, after);
    if (tallied) {
        print("tally verify", verify, made);
        print("tally report --by tenant,day", tally({"report", log, "--by", "tenant,day"}), made);
    }

    std::string config = scratch / "collector.toml";
    if (!replace_file(config, view(config_text(keys, state))))
        give_up("cannot write " + config);
    auto collector = [&](std::vector<std::string> words) {
        words.insert(words.begin(), {"tally-collector", "--config", config});
        return run(words, output);
    };
    print("tally-collector reindex", collector({"reindex"}), made);
    Taken report = collector({"report"});
    std::printf("tally-collector report: %.2f s, %zu rows\n", report.seconds, lines(output));
    Taken coverage = collector({"report", "--coverage"});
    std::printf("tally-collector report --coverage: %.2f s, %zu rows\n", coverage.seconds,
                lines(output));
    size_t idle = print_sizes(keys, hosts[0]);

    std::printf("\n");
    if (tallied)
        verdict_at_least("tally verify: % of the verify rate of all cores",
                         100 * made / verify.seconds / rate, 80);
    verdict_at_most("the collector's report over its index: s",
                    std::max(report.seconds, coverage.seconds), 2);
    verdict_at_most("an idle host's entry on the log: bytes", static_cast<double>(idle), 400);
    return 0;
}
