// What a storm's journal proves: which process had which file in its descriptor table, from when to
// when, and in which cgroup it was.
//
// No instant is known exactly. An edge lies between the clock before a call and the clock after it;
// of a call that its process did not survive, before its process was seen dead.
#pragma once

#include "tests/system/storm/journal.h"

#include <vector>

namespace tally::storm {

struct Edge {
    uint64_t earliest = 0;
    uint64_t latest = 0;
};

// How a process came by a file.
enum class Origin { kOpened, kPassed, kInherited };

// A process has a file in its descriptor table while it is in one cgroup.
struct Stay {
    uint32_t actor = 0;
    uint32_t file = 0; // 0: not known which, of a call that was cut short
    uint8_t device = 0;
    uint16_t cgroup = 0;
    Origin origin = Origin::kOpened;
    bool certain = true; // false: perhaps it never was so
    Edge begin;
    Edge end;
    // The parent's stay that this one was forked from, if it was in the same cgroup and the
    // parent's process number is the lower; -1: none.
    int parent = -1;
};

// A file is in a unix socket.
struct Flight {
    uint32_t file = 0;
    bool certain = true;
    Edge begin;
    Edge end;
};

// A successful open(2), and the cgroups in which its process may have been.
struct Open {
    uint8_t device = 0;
    bool certain = true;
    Edge at;
    std::vector<uint16_t> cgroups;
};

struct History {
    std::vector<Stay> stays; // a parent before its children
    std::vector<Flight> flights;
    std::vector<Open> opens;
    std::array<uint64_t, static_cast<size_t>(Kind::kDrain) + 1> done{}; // operations by kind
};

History reconstruct(const Journal &journal);

} // namespace tally::storm
