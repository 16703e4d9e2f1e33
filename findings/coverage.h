// How much of each host's time its statements account for. Time is covered from the moment since
// which it was recorded without a pause; between two boots only the wall clock knows how long it
// was, and none of it is covered.
#pragma once

#include "findings/entry.h"

#include <map>
#include <string>
#include <vector>

namespace tally {

// An attestation of the host that shows something.
struct Shown {
    uint64_t index = 0; // in the log
    uint64_t sequence = 0;
    Digest digest{};
};

struct HostCoverage {
    uint64_t attestations = 0;
    uint64_t first_sequence = 0;
    uint64_t last_sequence = 0;
    uint64_t last_index = 0;    // of the last attestation, in the log
    Digest last_digest{};       // its SHA-256
    Shown uncovered;            // the last that showed time to be uncovered
    uint64_t begin_wall_ns = 0; // of the first window
    uint64_t end_wall_ns = 0;   // of the last
    uint64_t boots = 0;
    uint64_t covered_ns = 0;
    uint64_t uncovered_ns = 0;
    std::string boot_id;            // the last
    uint64_t begin_boottime_ns = 0; // of the last window
};

// Of a window, how long nothing was recorded at its beginning.
uint64_t paused_ns(const pb::Statement &statement);

// Of a window, how much counts as covered: neither paused nor told before.
uint64_t covered_ns(const Entry &entry);

struct Gap {
    enum class Cause {
        kBetweenBoots, // nobody but the wall clock knows how long
        kPaused,       // the agent was not recording
        kNoWindow,     // between two windows of one boot
    };
    uint64_t begin_wall_ns;
    uint64_t length_ns;
    Cause cause;
};

class Coverage {
public:
    // Takes a host's attestations in order and returns what each shows to be uncovered.
    std::vector<Gap> add(const Entry &entry);
    void restore(const std::string &host, HostCoverage coverage) {
        hosts_[host] = std::move(coverage);
    }
    const std::map<std::string, HostCoverage> &hosts() const { return hosts_; }

private:
    std::map<std::string, HostCoverage> hosts_;
};

} // namespace tally
