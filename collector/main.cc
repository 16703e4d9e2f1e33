// tally-collector: takes the hosts' attestations into the log. `reindex` and `report` are about its
// index.
//
// Exit status: 0 stopped by SIGTERM or SIGINT; 1 runtime failure; 2 usage, configuration or keys;
// 4 the state directory cannot be used.
#include "base/durable.h"
#include "collector/intake.h"

#include <CLI/CLI.hpp>
#include <absl/synchronization/mutex.h>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <iostream>
#include <malloc.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/signalfd.h>

namespace {

using namespace tally;

constexpr int kFailed = 1, kBadConfig = 2, kBadState = 4;

int fail(const Log &lines, const Error &error, int status) {
    lines.error(error.message);
    return status;
}

// Two collectors on one log would both sign it. Held until the program ends.
Result<Fd> lock_directory(const std::string &path) {
    Fd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd)
        return errno_error("open directory " + path);
    if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return Error{path + ": in use by another tally-collector"};
        return errno_error("lock " + path);
    }
    return fd;
}

struct State {
    TileLog log;
    Index index;
    Hosts hosts;
};

Result<State> open_state(const std::string &directory, const std::string &index_path,
                         std::vector<NoteSigner> signers, const Log &lines) {
    auto index = Index::open(index_path);
    if (!index)
        return index.error();
    auto log = TileLog::open(directory + "/log", std::move(signers), index->size());
    if (!log)
        return log.error();
    for (const std::string &path : log->foreign())
        lines.warning(directory + "/log/" + printable(path) +
                      ": not part of the log; take it away, `tally verify` will object to it");
    auto ours = belongs_to(*index, *log);
    if (!ours)
        return ours.error();
    if (!*ours)
        return Error{index_path + ": was made from another log; delete it, it will be rebuilt"};
    auto hosts = catch_up(*index, *log);
    if (!hosts)
        return hosts.error();
    return State{*std::move(log), *std::move(index), *std::move(hosts)};
}

// gRPC's own errors, failed TLS handshakes among them, as lines of this program.
void log_grpc(gpr_log_func_args *args) {
    Log("tally-collector").warning("gRPC: " + printable(args->message, 512));
}

// Waits for SIGTERM, SIGINT or a word from the sequencer; true if it was a signal.
bool wait_for_end(const sigset_t &signals, int failed) {
    Fd signal(signalfd(-1, &signals, SFD_CLOEXEC));
    pollfd waiting[] = {{signal.get(), POLLIN, 0}, {failed, POLLIN, 0}};
    while (poll(waiting, 2, -1) < 0 && errno == EINTR) {
    }
    return (waiting[1].revents & POLLIN) == 0;
}

// Attestations come and go by the megabyte, through threads that each have a heap: one that gives
// its pages back at once asks for them again at once, with a system call for every 4 KiB.
void keep_freed_memory() {
    mallopt(M_TRIM_THRESHOLD, 8 << 20);
}

// The threads here wake each other for every message. On a busy core the one that is woken waits
// its turn, and finds more to do by then, instead of pushing the other aside in mid-work.
void wake_in_turn() {
    sched_param none{};
    sched_setscheduler(0, SCHED_BATCH, &none);
}

int serve(const Config &config, Keys keys, const Log &lines) {
    keep_freed_memory();
    wake_in_turn();
    // gRPC's locks: Debian builds them to look for deadlocks, in a graph of all locks under one.
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
    // Before any thread starts, so that all inherit it.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);

    const std::string &directory = config.state_directory;
    if (auto made = make_directories(directory, 0750); !made)
        return fail(lines, made.error(), kBadState);
    auto lock = lock_directory(directory);
    if (!lock)
        return fail(lines, lock.error(), kBadState);
    std::string index_path = directory + "/index.db";
    auto state = open_state(directory, index_path, std::move(keys.log), lines);
    if (!state)
        return fail(lines, state.error(), kBadState);

    uint64_t size = state->log.size();
    Fd failed(eventfd(0, EFD_CLOEXEC));
    Watch watch(directory + "/log", size, index_path, lines);
    Sequencer sequencer(
        std::move(state->log), std::move(state->index), index_path, std::move(state->hosts), lines,
        [&failed] { eventfd_write(failed.get(), 1); },
        std::make_unique<Witnesses>(config.witnesses, static_cast<size_t>(config.log.cosignatures),
                                    lines),
        &watch);
    Intake intake(keys.fleet_root, sequencer, lines);
    if (auto listening = intake.listen(config.listen, keys); !listening)
        return fail(lines, listening.error(), kFailed);
    lines.info("listening on " + config.listen.substr(0, config.listen.rfind(':') + 1) +
               std::to_string(intake.port()) + ", log " + config.log.origin + " at size " +
               std::to_string(size));
    bool asked = wait_for_end(signals, failed.get());
    intake.stop();
    sequencer.stop();
    if (asked)
        lines.info("stopped");
    return asked ? 0 : kFailed;
}

// The index anew from the log alone, while no collector runs.
int make_index(const Config &config, Keys keys, const Log &lines) {
    auto lock = lock_directory(config.state_directory);
    if (!lock)
        return fail(lines, lock.error(), kBadState);
    auto log = TileLog::open(config.state_directory + "/log", std::move(keys.log), 0);
    if (!log)
        return fail(lines, log.error(), kBadState);
    auto begin = std::chrono::steady_clock::now();
    auto size = reindex(config.state_directory + "/index.db", *log);
    if (!size)
        return fail(lines, size.error(), kBadState);
    std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    std::printf("%s/index.db: made anew from the log's %llu entries in %.1f s\n",
                config.state_directory.c_str(), static_cast<unsigned long long>(*size),
                took.count());
    return 0;
}

struct Question {
    std::string from, to, tenant;
    bool coverage = false;
    bool findings = false;
};

Result<std::string> found(Index &index, const Log &lines) {
    auto rows = index.findings();
    auto judged = index.judged();
    if (!rows || !judged)
        return rows ? judged.error() : rows.error();
    if (*judged < index.size())
        lines.notice("of the log's " + std::to_string(index.size()) + " entries the first " +
                     std::to_string(*judged) + " are judged so far");
    std::vector<Finding> findings;
    for (const auto &[at, finding] : *rows)
        findings.push_back(finding);
    return findings_csv(findings);
}

// What the index says; a collector may be running.
int report(const Config &config, const Question &question, const Log &lines) {
    DayFilter filter;
    filter.tenant = question.tenant;
    for (auto [text, day] :
         {std::pair{&question.from, &filter.from}, std::pair{&question.to, &filter.to}}) {
        if (text->empty())
            continue;
        auto parsed = parse_day(*text);
        if (!parsed)
            return fail(lines, parsed.error(), kBadConfig);
        *day = *parsed;
    }
    auto index = Index::open(config.state_directory + "/index.db");
    if (!index)
        return fail(lines, index.error(), kBadState);
    auto csv = question.findings   ? found(*index, lines)
               : question.coverage ? index->coverage(filter)
                                   : index->held(filter);
    if (!csv)
        return fail(lines, csv.error(), kBadState);
    bool written = std::fputs(csv->c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
    return written ? 0 : fail(lines, errno_error("write standard output"), kFailed);
}

} // namespace

int main(int argc, char **argv) {
    CLI::App app("Takes the attestations of GPU hosts into a verifiable log.", "tally-collector");
    std::string path;
    bool check = false;
    app.add_option("--config", path, "configuration file (TOML)")->required();
    app.add_flag("--check-config", check, "read the configuration and its keys, then exit");
    CLI::App &reindexing = *app.add_subcommand(
        "reindex", "make the index anew from the log alone; stop the collector first");
    reindexing.footer("Example: tally-collector --config collector.toml reindex");
    CLI::App &reporting = *app.add_subcommand(
        "report", "print what the index has of each UTC day, CSV; `tally report` proves it");
    reporting.footer("Example: tally-collector --config collector.toml report --from 2026-11-01");
    Question question;
    reporting.add_option("--from", question.from, "first day, 2026-11-01");
    reporting.add_option("--to", question.to, "the day after the last");
    reporting.add_option("--tenant", question.tenant, "of this tenant alone");
    auto *coverage = reporting.add_flag("--coverage", question.coverage,
                                        "how much of each host's time is covered");
    reporting
        .add_flag("--findings", question.findings,
                  "what an auditor should look at, of all days, as `tally findings --csv` has it")
        ->excludes(coverage);
    app.set_version_flag("--version", "tally-collector " TALLYSTICK_VERSION);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError &error) {
        return app.exit(error) == 0 ? 0 : kBadConfig;
    }

    Log lines("tally-collector");
    gpr_set_log_function(log_grpc);
    google::protobuf::SetLogHandler(nullptr); // what does not parse is refused, in one line of ours
    auto config = load_config(path);
    if (!config)
        return fail(lines, config.error(), kBadConfig);
    auto keys = load_keys(*config);
    if (!keys)
        return fail(lines, keys.error(), kBadConfig);
    if (check) {
        std::cout << path << ": good\n";
        return 0;
    }
    if (reindexing.parsed())
        return make_index(*config, *std::move(keys), lines);
    if (reporting.parsed())
        return report(*config, question, lines);
    return serve(*config, *std::move(keys), lines);
}
