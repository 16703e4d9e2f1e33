// What the recorder saw, as plain values. Everything after this seam is a function of snapshots, so
// it tests without root.
#pragma once

#include "agent/clock.h"

#include <compare>
#include <cstdint>
#include <map>
#include <string>

namespace tally {

// In the place of a workload: the row says how long anybody held the device, and its files are the
// workloads that hold it. As in bpf/wire.h.
constexpr uint64_t kAnybody = 0;

struct UsageKey {
    uint64_t workload = 0; // cgroup v2 id, or kAnybody
    uint32_t device = 0;   // device index
    auto operator<=>(const UsageKey &) const = default;
};

// Totals since recording began, as of Snapshot::at; they only grow. A key that leaves a snapshot
// starts from zero if it comes back.
struct UsageTotals {
    uint64_t held_ns = 0;
    uint64_t opens = 0;
    uint64_t found = 0;
    uint64_t releases = 0;
    uint64_t open_files = 0; // now, not a total
    uint64_t untracked = 0;  // open files that found no room: held_ns is a lower bound
    uint64_t late_ns = 0;    // of held_ns, nobody's at most: ends were learnt late
    bool operator==(const UsageTotals &) const = default;
};

struct Snapshot {
    Instant at;
    uint64_t reading_ns = 0; // the totals were read until this long after `at`
    std::map<UsageKey, UsageTotals> usage;
    bool tells_occupancy = false;           // a device in use has a row of kAnybody
    std::map<std::string, uint64_t> losses; // place -> total; a place without loss is left out
    uint64_t scans = 0;                     // total
    uint64_t longest_scan_gap_ns = 0;       // since the snapshot before
    uint32_t usage_capacity = 0;
    uint32_t holders = 0;
    uint32_t holder_capacity = 0;
};

} // namespace tally
