// tally: options in, exit status out. The work is done by the other files of this directory.
#include "audit/account.h"
#include "audit/keys.h"
#include "audit/report.h"
#include "audit/show.h"
#include "base/log.h"
#include "base/text.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <google/protobuf/stubs/logging.h>

namespace {

using namespace tally;

constexpr int kClean = 0;
constexpr int kFindings = 1;
constexpr int kNotVerified = 2; // also usage errors

int fail(const Error &error) {
    Log("tally").error(error.message);
    return kNotVerified;
}

// A report that did not reach its file must not look like one that did.
int print(const std::string &text, int status) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
        return fail(errno_error("write standard output"));
    return status;
}

struct LogOptions {
    std::string log;
    std::string log_keys;
    std::string fleet_root;
};

struct Options {
    Fleet fleet;
    LogOptions log;
    bool json = false;
    bool csv = false;
    std::vector<std::string> which;
};

int keys(const Fleet &fleet) {
    if (auto made = make_fleet(fleet); !made)
        return fail(made.error());
    return print(fleet.directory + ": keys of a throw-away fleet: authority, collector " +
                     fleet.collector + ", log " + fleet.origin + ", " +
                     count_of(fleet.hosts.size(), "host") +
                     "\nFor demos and tests, not for production: all private keys lie in one "
                     "place, unencrypted.\n",
                 kClean);
}

int account(const LogOptions &options, std::string (*text_of)(const Account &)) {
    auto trust = Trust::load(options.log_keys, options.fleet_root);
    if (!trust)
        return fail(trust.error());
    auto source = Source::open(options.log);
    if (!source)
        return fail(source.error());
    auto taken = take_account(*source, *trust);
    if (!taken)
        return fail(taken.error());
    return print(text_of(*taken), taken->findings.empty() ? kClean : kFindings);
}

int show_one(const LogOptions &options, const std::vector<std::string> &which) {
    auto selector = Selector::parse(which);
    if (!selector)
        return fail(selector.error());
    auto trust = Trust::load(options.log_keys, options.fleet_root);
    if (!trust)
        return fail(trust.error());
    auto source = Source::open(options.log);
    if (!source)
        return fail(source.error());
    auto page = show(*source, *trust, *selector);
    if (!page)
        return fail(page.error());
    return print(*page, kClean);
}

void add_keys(CLI::App &app, Fleet &fleet) {
    CLI::App &command = *app.add_subcommand(
        "keys", "Make the keys and certificates of a throw-away fleet, for demos and tests");
    command.footer("Example: tally keys build/keys --host gpu1.example --collector localhost");
    command.add_option("DIR", fleet.directory, "directory to fill")->required();
    command.add_option("--host", fleet.hosts, "DNS name of a host; several")->required();
    command.add_option("--collector", fleet.collector, "DNS name of the collector")->required();
    command.add_option("--origin", fleet.origin, "the log's name, a URL without scheme")
        ->capture_default_str();
    command.add_flag("--expired", fleet.expired, "certificates that ended an hour ago");
}

CLI::App &add_command(CLI::App &app, const char *name, const char *what, const std::string &words,
                      LogOptions &options) {
    CLI::App &command = *app.add_subcommand(name, what);
    command.footer("Example: tally " + std::string(name) + " /srv/log" + words +
                   " --log-keys log.vkeys --fleet-root fleet-ca.pem");
    command.add_option("LOG", options.log, "the log's directory, or a copy of it")->required();
    command.add_option("--log-keys", options.log_keys, "the log's public keys, vkey lines")
        ->required();
    command.add_option("--fleet-root", options.fleet_root, "the fleet's authority, PEM")
        ->required();
    return command;
}

void add_audit(CLI::App &app, Options &options) {
    add_command(app, "verify", "Verify a log, all of it, and say what an auditor should look at",
                "", options.log);
    CLI::App &report =
        add_command(app, "report", "Verify a log, then print who held which device for how long",
                    " --csv", options.log);
    auto *csv = report.add_flag("--csv", options.csv, "comma-separated values, RFC 4180");
    report.add_flag("--json", options.json, "one JSON object")->excludes(csv);
    CLI::App &show = add_command(app, "show", "Verify a log, then print one attestation",
                                 " gpu1.example 12", options.log);
    show.add_option("WHICH", options.which, "INDEX in the log, or HOST and SEQUENCE")
        ->required()
        ->expected(1, 2);
}

int dispatch(const CLI::App &app, const Options &options) {
    if (app.got_subcommand("keys"))
        return keys(options.fleet);
    if (app.got_subcommand("show"))
        return show_one(options.log, options.which);
    if (app.got_subcommand("verify"))
        return account(options.log, verification_text);
    return account(options.log, options.csv    ? report_csv
                                : options.json ? report_json
                                               : report_table);
}

int run(int argc, char **argv) {
    CLI::App app("tally: verify a tallystick log and report who held which accelerator", "tally");
    app.set_version_flag("--version", "tally " TALLYSTICK_VERSION);
    app.footer("Exit status: 0 clean, 1 findings, 2 could not verify or wrong usage.");
    app.require_subcommand(1);
    Options options;
    add_keys(app, options.fleet);
    add_audit(app, options);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError &error) {
        if (error.get_exit_code() == 0)
            return app.exit(error); // --help and --version
        return fail(Error{std::string(error.what()) + " (try --help)"});
    }
    return dispatch(app, options);
}

} // namespace

int main(int argc, char **argv) {
    // What protobuf cannot parse is said once, by us, with its place.
    google::protobuf::SetLogHandler(nullptr);
    try {
        return run(argc, argv);
    } catch (const std::exception &error) { // out of memory: no figure, no status that says clean
        std::fprintf(stderr, "tally: error: %s\n", error.what());
        return kNotVerified;
    }
}
