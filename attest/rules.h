// The rules of evidence: what every statement must satisfy by itself, and after the one before it.
// The agent holds its own statements to them before it signs, the collector before it appends, the
// auditor again, from the log alone. All three run this code.
#pragma once

#include "attest/crypto.h"
#include "attest/ledger.pb.h"
#include "attest/statement.pb.h"

#include <optional>
#include <set>
#include <string>
#include <vector>

namespace tally {

namespace pb = tallystick::v1;

struct Breach {
    pb::Refusal::Code code;
    std::string reason; // one line
};

// Rules on one statement alone:
//   host name, 16-byte boot id, sequence >= 1, 32-byte previous (none at 1), part < parts
//   window: begin < end on CLOCK_BOOTTIME (a wall clock that steps is a finding, not a breach)
//   inventory: distinct indices; usage: workload in range, one row per (workload, device)
//   held <= window; nothing held without an open, found or already open file
//   occupancy: one row per device, occupied <= window, late <= occupied; none that is not told
//   work: of a workload in range or a device, with a source and a grade; busy <= window x capacity
//   recording: a rung is named, and the time since when it records is before the window's end
std::optional<Breach> check_statement(const pb::Statement &statement);
// All that it breaks, the first first: an auditor tells what cannot be read from what cannot be.
std::vector<Breach> breaches_of(const pb::Statement &statement);

// Zero for a window that ends before it begins.
inline uint64_t length_of(const pb::Window &window) {
    return window.end_boottime_ns() > window.begin_boottime_ns()
               ? window.end_boottime_ns() - window.begin_boottime_ns()
               : 0;
}

// Files without room in the recording's maps were, or may have been, held beside those counted: the
// upper bound is the window's length.
inline bool held_is_lower_bound(const pb::Usage &usage) {
    return usage.untracked() > 0 || usage.was_untracked();
}

// Where a host's chain stands: all that is needed to judge its next statement.
struct ChainHead {
    std::string host;
    uint64_t sequence = 0; // 0: no statement yet
    Digest digest{};       // SHA-256 of the attestation at `sequence`
    std::string boot_id;
    uint64_t begin_boottime_ns = 0;
    uint64_t end_boottime_ns = 0;
    uint64_t end_wall_ns = 0;
    uint32_t part = 0;
    uint32_t parts = 1;
    std::set<uint32_t> devices; // indices of the last inventory
    Bytes signing_key;          // SPKI DER
};

// Rules on a statement after `head`, which must have passed check_statement:
//   same host; sequence one up (below: replayed, above: skipped); previous names the head's bytes
//   parts of one window follow each other and share it; else, on the same boot, the window begins
//   where the last ended; on another boot, the wall clock does not matter here (it is a finding)
//   the first statement of a chain and of a boot brings the inventory; usage, occupancy and work
//   name known devices
std::optional<Breach> check_follows(const ChainHead &head, const pb::Statement &statement);

// The head after a statement that passed both, whose attestation bytes hash to `digest`.
void advance(ChainHead &head, const pb::Statement &statement, const Digest &digest);

} // namespace tally
