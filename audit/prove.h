// `tally prove`: the attestations behind a figure, as a file that a third party checks without the
// log (attest/FORMATS.md, "Bundle").
#pragma once

#include "audit/question.h"
#include "audit/walk.h"

#include <functional>
#include <string>

namespace tally {

// Verifies the log, then hands out the bundle's bytes piece by piece: the attestations with usage
// that the question covers, those that bring the certificates and inventories they rest upon, and
// what explains findings that any of them shows.
// An error if the log does not verify or nothing in it was asked about.
struct Proved {
    uint64_t attestations = 0; // that were asked about
    uint64_t entries = 0;      // with those they rest upon
};
using Write = std::function<Status(ByteView)>;
Result<Proved> prove(const Source &source, const Trust &trust, const Question &question,
                     const std::string &log_keys, const std::string &fleet_root,
                     const WalkOptions &options, const Write &write);

} // namespace tally
