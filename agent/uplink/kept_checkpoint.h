// The host's half of the log: the newest checkpoint that it has verified, on disk before anything
// leaves the spool for it. Every next one must extend it, so a collector that rewrites, forks or
// rolls back its log is caught by each host that it ever gave a receipt.
//
//   PATH           the signed note, as the collector sent it
//   PATH.refused   the first signed note that did not extend it: with PATH, what a person can show
//
// The file is as good as this host's disk: root can delete it, and the host then starts anew with
// the next checkpoint. So it does under another origin, which is another log: that is how a fleet
// goes on after a collector has lost its log for good.
#pragma once

#include "attest/checkpoint.h"
#include "attest/ledger.pb.h"
#include "base/log.h"

#include <optional>
#include <string>

namespace tally {

namespace pb = tallystick::v1;

class KeptCheckpoint {
public:
    // `origin` of the log the host is configured for. What cannot be used is said and left out.
    KeptCheckpoint(std::string path, const std::string &origin, const Log &log);

    uint64_t size() const { return kept_.size; } // 0: none

    struct Fault {
        bool inconsistent = false; // else the file could not be written
        std::string reason;        // the same for as long as the fault is the same
        std::string evidence;      // for a statement: both states, roots in base64
    };
    // `next` was verified and is what the receipt's note says. Keeps it if it extends what is kept.
    std::optional<Fault> extend(const Checkpoint &next, const pb::Receipt &receipt);

private:
    std::string path_;
    Checkpoint kept_;
};

} // namespace tally
