// One process of a storm: does something random with device files, sleeps, and again, until it is
// killed or chooses to exit. Everything it does stands in the journal.
#pragma once

#include "tests/system/storm/journal.h"

namespace tally::storm {

// SplitMix64: a whole generator in eight bytes, so that it survives an exec in shared memory.
uint64_t next_random(uint64_t &state);
inline uint64_t below(uint64_t &state, uint64_t limit) {
    return next_random(state) % limit;
}

// A new record, whose call has not begun.
Record &add_record(Journal &journal, Kind kind, uint32_t actor);
// Something went wrong in the storm itself. Reads errno.
void mistake(Journal &journal, const char *what);
// The place for a process that is about to be forked into `cgroup`; 0 if there is none left.
uint32_t add_actor(Journal &journal, uint32_t cgroup);
// Writes the number of `pid`'s new cgroup; false if it is gone. 0 is the caller.
bool write_cgroup(const Journal &journal, uint32_t cgroup, int pid);
int open_cgroup(const Journal &journal, uint32_t cgroup);

// In the child, once per life: takes the place and acts. Does not return.
[[noreturn]] void act(Journal &journal, uint32_t self);

// The test program, executed by an actor: goes on with its life. Returns only if this is no such
// execution.
void act_if_executed(int argc, char **argv);

} // namespace tally::storm
