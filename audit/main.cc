// tally: options in, exit status out. The work is done by the other files of this directory.
#include "audit/keys.h"
#include "base/log.h"

#include <CLI/CLI.hpp>
#include <cstdio>

namespace {

using namespace tally;

constexpr int kClean = 0;
constexpr int kNotVerified = 2; // also usage errors

int fail(const Error &error) {
    Log("tally").error(error.message);
    return kNotVerified;
}

int keys(const Fleet &fleet) {
    if (auto made = make_fleet(fleet); !made)
        return fail(made.error());
    std::printf("%s: keys of a throw-away fleet: authority, collector %s, log %s, %zu host%s\n"
                "For demos and tests, not for production: all private keys lie in one place, "
                "unencrypted.\n",
                fleet.directory.c_str(), fleet.collector.c_str(), fleet.origin.c_str(),
                fleet.hosts.size(), fleet.hosts.size() == 1 ? "" : "s");
    return kClean;
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

} // namespace

int main(int argc, char **argv) {
    CLI::App app("tally: verify a tallystick log and report who held which accelerator", "tally");
    app.set_version_flag("--version", "tally " TALLYSTICK_VERSION);
    app.footer("Exit status: 0 clean, 1 findings, 2 could not verify or wrong usage.");
    app.require_subcommand(1);
    Fleet fleet;
    add_keys(app, fleet);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError &error) {
        return app.exit(error) == 0 ? kClean : kNotVerified;
    }
    return keys(fleet);
}
