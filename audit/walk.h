// The one way into a log: everything that is printed about it went through here. Verifies
// checkpoint, entries, tiles and every host's chain, from the log's files and two trusted things
// alone.
#pragma once

#include "attest/admit.h"
#include "attest/checkpoint.h"
#include "audit/source.h"

#include <functional>
#include <map>

namespace tally {

// What the auditor believes beforehand: the log's keys and the fleet's root.
struct Trust {
    std::vector<NoteKey> log_keys; // the checkpoint must be signed by all of them
    FleetRoot fleet_root;

    // Files of vkey lines (attest/checkpoint.h) and of PEM certificates.
    static Result<Trust> load(const std::string &log_keys_file, const std::string &fleet_root_file);
};

using Devices = std::map<uint32_t, pb::Device>; // by Device.index

struct Entry {
    uint64_t index = 0; // in the log
    ByteView attestation;
    const Opened &opened;   // passed every rule, after all before it in its host's chain
    const Devices &devices; // the host's last inventory, this statement's included
};

struct Walked {
    Checkpoint checkpoint;
    uint64_t bundles = 0;
    uint64_t hash_tiles = 0;
    Leftovers leftovers;
};

// Shows every entry to `visit`, in the log's order. That an entry is in the log is known only when
// walk has returned without an error: a visitor gathers, and prints nothing before that.
// An error names file, log index, host and sequence, as far as they are known.
Result<Walked> walk(const Source &source, const Trust &trust,
                    const std::function<void(const Entry &)> &visit);

} // namespace tally
