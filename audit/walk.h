// The one pass over a log that everything `tally` prints is built upon: it verifies all of it and
// hands out each attestation with where it was found. What a visitor gathers may be shown only if
// walk() returned no error: the root is compared last.
//
//   checkpoint    signed by every key of the auditor's
//   files         none that has no place in the log, none missing
//   entries       hash to the tiles, of every level, byte for byte, and these to the signed root
//   attestations  each host's chain: signature, certificate, sequence, previous, rules (attest/)
#pragma once

#include "attest/admit.h"
#include "attest/checkpoint.h"
#include "audit/source.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace tally {

// What the auditor believes beforehand.
struct Trust {
    std::vector<NoteKey> log_keys;
    FleetRoot fleet_root;

    // From a file of vkey lines and one of PEM certificates.
    static Result<Trust> load(const std::string &log_keys_file, const std::string &root_file);
};

using Devices = std::map<uint32_t, pb::Device>; // by Device.index

// One verified attestation. References hold during the visit.
struct Entry {
    uint64_t index; // in the log
    const Opened &opened;
    const Devices &devices; // the host's inventory as of this statement

    const pb::Statement &statement() const { return opened.statement; }
    const std::string &device_id(const pb::Usage &usage) const {
        return devices.at(usage.device()).id(); // attest/rules.h: usage names known devices
    }
};

struct Verified {
    Checkpoint checkpoint;
    std::vector<std::string> notes; // what was found but not read
};

Result<Verified> walk(const Source &source, const Trust &trust,
                      const std::function<void(const Entry &)> &visit);

} // namespace tally
