// tally's command line. `tally COMMAND --help` is where it is documented: the man page and the
// shell completion are held against it (tests/check/tally-help).
#pragma once

#include "audit/explain.h"
#include "audit/keys.h"
#include "audit/question.h"
#include "audit/witness_server.h"
#include "findings/device_table.h"

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace tally {

struct Options {
    Fleet fleet;            // of `tally keys`
    WitnessOptions witness; // of `tally witness`
    ExplainOptions explain; // of `tally explain`

    std::string log; // a directory or, for verify, a bundle
    std::string log_keys;
    std::string fleet_root;
    unsigned threads = 0;
    bool progress = false;
    std::string state; // of `tally verify`
    std::string devices;
    DeviceTable table = DeviceTable::shipped(); // or what `devices` has, once it is read
    std::string unseal;                         // files of keys
    std::string join_key;

    QuestionWords question;
    std::vector<std::string> by;
    bool by_parent = false;
    bool json = false;
    bool csv = false;
    bool focus = false;
    bool work = false;
    bool idle = false;
    std::string what;               // of `tally timeline`
    std::vector<std::string> which; // of `tally show`
};

// Adds all commands to `app`; what is typed ends up in `options`.
void add_commands(CLI::App &app, Options &options);

} // namespace tally
