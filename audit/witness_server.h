// `tally witness`: witness.h behind HTTP (libmicrohttpd), one request after another. Plain HTTP: a
// cosignature is no secret and proves itself; a proxy in front may speak TLS.
#pragma once

#include "base/log.h"
#include "base/result.h"

#include <string>
#include <vector>

namespace tally {

struct WitnessOptions {
    std::string listen = "127.0.0.1:7480"; // port 0: any free one
    std::string state;
    std::string name;
    std::string key;                   // PEM
    std::vector<std::string> log_keys; // files of vkeys, one for each log
};

// Runs until SIGTERM or SIGINT.
Status serve_witness(const WitnessOptions &options, const Log &log);

} // namespace tally
