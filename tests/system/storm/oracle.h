// How long a workload may be said to have held a device, given what the storm proves and what the
// rung promises:
//
//   exact, kprobe   every edge to 1 ms. A file that is in no table but in a socket stays with the
//                   workload that let go of it last, until another has it or it is released.
//   traced          opens to 1 ms; what else brings a file, and every release, by one scan
//   scanned         all by one scan; late, never early
//
// On traced and scanned a file in flight is held by nobody. "One scan" is what the log attests at
// that time (Recording.longest_scan_gap_ns), so where the agent was dead it is honestly longer.
#pragma once

#include "attest/statement.pb.h"
#include "tests/system/storm/history.h"
#include "tests/system/storm/spans.h"

namespace tally::storm {

namespace pb = tallystick::v1;

// What the log says about its scans.
struct ScanWindow {
    uint64_t begin_ns = 0;
    uint64_t end_ns = 0;
    uint64_t longest_gap_ns = 0;
};

class ScanGaps {
public:
    explicit ScanGaps(std::vector<ScanWindow> windows); // in order
    // How long after `at` a scan has seen what was so at `at`, at the latest.
    uint64_t after(uint64_t at) const;

private:
    std::vector<ScanWindow> windows_;
};

struct Rules {
    pb::Rung rung = pb::RUNG_UNSPECIFIED;
    uint64_t since_ns = 0; // recording began
    uint64_t ready_ns = 0; // every hook and device was there, and the first scan over
    bool widen = true;     // false: what the storm proves, without the rung's tolerance
    bool has_room = true;  // false: a file may have found none, and is lost once it is in no table
};

// Certainly held, and perhaps held.
struct Bounds {
    Spans least;
    Spans most;
};

// How often a device was opened by a workload, while the agent was there to see it.
struct OpenBounds {
    uint64_t least = 0;
    uint64_t most = 0;
};

class Oracle {
public:
    Oracle(const History &history, const ScanGaps &gaps, const Rules &rules);
    Bounds held(uint16_t cgroup, uint8_t device) const;
    OpenBounds opens(uint16_t cgroup, uint8_t device) const;

private:
    bool scans() const { return rules_.rung <= pb::RUNG_TRACED; }
    uint64_t one_scan(uint64_t at) const { return rules_.widen ? gaps_.after(at) : 0; }
    void see_begins();
    void follow_flights(const Stay &stay, Bounds &bounds, std::vector<Edge> &lost) const;
    void note_lost(const Stay &stay, std::vector<Edge> &lost) const;
    void settle_late(const std::vector<const Stay *> &stays, const std::vector<Edge> &lost,
                     Bounds &bounds) const;

    const History &history_;
    const ScanGaps &gaps_;
    Rules rules_;
    std::vector<uint64_t> seen_;                            // by stay: surely known from then on
    std::map<uint32_t, std::vector<const Stay *>> by_file_; // each with those of unknown files
    std::map<uint32_t, std::vector<const Flight *>> flights_;
};

} // namespace tally::storm
