// Who held what, summed over a log: the figures of `tally report`.
#pragma once

#include "audit/walk.h"

#include <map>
#include <string>
#include <tuple>

namespace tally {

// A tenant's rows have no cgroup: its workloads are summed, also where two held a device at once.
// Without a tenant each cgroup path has a row.
struct UsageKey {
    std::string tenant; // empty: unattributed
    std::string parent;
    std::string host;
    std::string device; // Device.id
    std::string cgroup;

    auto operator<=>(const UsageKey &) const = default;
};

struct UsageSum {
    uint64_t held_ns = 0;
    uint64_t opens = 0;
    uint64_t found = 0;
    uint64_t releases = 0;
    uint64_t windows = 0;     // in which it appears
    uint64_t last_window = 0; // sequence of that window's first part
};

// How the windows of one rung were recorded.
struct RungSum {
    uint64_t statements = 0;
    uint64_t longest_scan_gap_ns = 0;
};

class UsageSums {
public:
    // Takes a host's attestations in order.
    void add(const Entry &entry);
    // Without rows in which nothing was held, opened or found; tenants by name, then the
    // unattributed.
    std::vector<std::pair<UsageKey, UsageSum>> rows() const;
    const std::map<int, RungSum> &rungs() const { return rungs_; }

private:
    std::map<UsageKey, UsageSum> sums_;
    std::map<int, RungSum> rungs_;
};

} // namespace tally
