// tallyd: options in, exit status out.
#include "agent/agent.h"
#include "agent/explain.h"
#include "agent/self.h"

#include <cstdio>
#include <getopt.h>
#include <google/protobuf/stubs/logging.h>

namespace {

constexpr const char *kHelp =
    R"(Usage: tallyd --config FILE [--check-config | --unload] [--hooks=RUNG]
       tallyd --explain PID [--config FILE]
       tallyd --print-disclosure [--config FILE]

Records which workloads hold this host's accelerators, signs what it saw, and
streams it to the collector. Runs in the foreground until SIGTERM.

  --config FILE    configuration (see /usr/share/doc/tallystick/tallyd.toml);
                   of --explain and --print-disclosure, by default
                   /etc/tallystick/tallyd.toml
  --check-config   read configuration, keys and tenants, then exit
  --explain PID    say which workload and tenant a process belongs to, and by
                   which names and rule; also while a daemon runs
  --print-disclosure
                   list what leaves this host, at each level of privacy
  --hooks=RUNG     auto, exact, kprobe, traced or scanned; overrides the
                   configuration
  --unload         remove what stays in the kernel while no agent runs: programs
                   and totals. What was not attested yet is lost.
  --version        print the version and exit
  --help           print this and exit

Exit status: 0 stopped as asked, 1 failed while running, 2 configuration, keys or
usage, 3 the kernel refused (missing capability, no BPF), 4 state directory unusable.
)";

constexpr const char *kDefaultConfig = "/etc/tallystick/tallyd.toml";

int finish(const tally::Log &log, const tally::Failure &failure) {
    log.error(failure.error.message);
    return static_cast<int>(failure.status);
}

} // namespace

int main(int argc, char **argv) {
    using namespace tally;
    enum { kConfig = 1, kCheck, kHooks, kUnload, kExplain, kDisclosure, kVersion, kHelpWanted };
    const option options[] = {{"config", required_argument, nullptr, kConfig},
                              {"check-config", no_argument, nullptr, kCheck},
                              {"hooks", required_argument, nullptr, kHooks},
                              {"unload", no_argument, nullptr, kUnload},
                              {"explain", required_argument, nullptr, kExplain},
                              {"print-disclosure", no_argument, nullptr, kDisclosure},
                              {"version", no_argument, nullptr, kVersion},
                              {"help", no_argument, nullptr, kHelpWanted},
                              {}};
    const Log log("tallyd");
    google::protobuf::SetLogHandler(nullptr); // what does not parse is reported once, by us
    auto usage = [&](const std::string &message) {
        return finish(log, {Exit::kConfiguration, Error{message + " (try --help)"}});
    };
    std::string config_file;
    std::string hooks;
    bool check_only = false;
    bool unload = false;
    std::optional<std::string> explained; // process id
    bool print_disclosure = false;
    opterr = 0;
    for (int choice = 0; (choice = getopt_long(argc, argv, "", options, nullptr)) != -1;) {
        switch (choice) {
        case kConfig:
            config_file = optarg;
            break;
        case kCheck:
            check_only = true;
            break;
        case kHooks:
            hooks = optarg;
            break;
        case kUnload:
            unload = true;
            break;
        case kExplain:
            explained = optarg;
            break;
        case kDisclosure:
            print_disclosure = true;
            break;
        case kVersion:
            std::printf("tallyd %s %s\n", TALLYSTICK_VERSION, build_id().c_str());
            return 0;
        case kHelpWanted:
            std::fputs(kHelp, stdout);
            return 0;
        default:
            return usage("unknown option or missing value: " + std::string(argv[optind - 1]));
        }
    }
    if (optind < argc)
        return usage("unexpected argument: " + std::string(argv[optind]));
    bool only_asks = explained || print_disclosure;
    if (config_file.empty() && only_asks)
        config_file = kDefaultConfig;
    if (config_file.empty())
        return usage("--config FILE is needed");

    auto config = load_config(config_file);
    if (!config)
        return finish(log, {Exit::kConfiguration, config.error()});
    if (!hooks.empty()) {
        auto rung = parse_rung(hooks);
        if (!rung)
            return usage("--hooks: " + rung.error().message);
        config->recorder.rung = *rung;
    }
    if (print_disclosure) {
        std::fputs(disclosure_text(config->privacy.level).c_str(), stdout);
        return 0;
    }
    if (explained) {
        auto page = explain(*explained, *config);
        if (!page)
            return finish(log, {Exit::kFailed, page.error()});
        std::fputs(page->c_str(), stdout);
        return 0;
    }
    if (!check_only) {
        if (std::string missing = missing_capabilities(); !missing.empty())
            return finish(log, {Exit::kKernel, Error{"missing " + missing +
                                                     ": run as root or grant these capabilities"}});
    }
    if (unload) {
        if (auto unloaded = Pins::unload(config->recorder.pins); !unloaded)
            return finish(log, {Exit::kKernel, unloaded.error()});
        return 0;
    }
    Agent agent(std::move(*config), log);
    if (auto failure = agent.prepare())
        return finish(log, *failure);
    if (check_only) {
        std::printf("%s: good\n", config_file.c_str());
        return 0;
    }
    if (auto failure = agent.run())
        return finish(log, *failure);
    return 0;
}
