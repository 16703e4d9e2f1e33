// Reads the kernel's totals: a lock-free sum that is right once every edge has been added.
#pragma once

#include "agent/record/snapshot.h"
#include "base/result.h"

#include <map>
#include <optional>
#include <set>
#include <string>

struct wire_usage;

namespace tally {

using Totals = std::map<UsageKey, UsageTotals>;

// What an earlier reading said; held time of the next one is settled against it.
struct Reading {
    uint64_t boottime_ns = 0;
    Totals totals;
};

// The totals of one entry as of `at`, given what the reading before said and the time since. An
// edge that fell between `at` and the reading is a little off, either way, and is moved into the
// window it belongs to. An entry caught between the two atomic steps of an edge is off by the whole
// boot time (see wire_usage): nothing, read it again.
std::optional<UsageTotals> settle(const wire_usage &raw, const UsageTotals &before, uint64_t window,
                                  uint64_t at);

// All entries of the usage map `map` as of `at_ns`, a moment not after now. An error if the kernel
// refuses, or if an entry does not settle.
Result<Totals> read_usage(int map, uint64_t at_ns, const Reading &before);

// Frees the entries that held nothing between two readings, and drops them from `totals`. One that
// is used at that very moment is put back. Those in `keep` stay.
Status forget_idle(int map, Totals &totals, const Totals &before, const std::set<UsageKey> &keep);

// The totals of a map of another version, found by the names of its members in the map's BTF. What
// does not follow from `before` is bent until it does: a layout misread must not stop the chain.
Result<Totals> read_foreign_usage(int map, uint64_t at_ns, const Reading &before);

} // namespace tally
