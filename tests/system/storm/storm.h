// A storm of tenants: hundreds of processes in tens of cgroups open, copy, pass, inherit and lose
// device files, move between cgroups, execute programs and die, all at random, and write down what
// they do (journal.h). Seeded; what the scheduler makes of the seed differs from run to run.
#pragma once

#include "tests/system/storm/journal.h"

#include <string>
#include <sys/types.h>
#include <vector>

namespace tally::storm {

struct Plan {
    uint64_t seed = 0;
    unsigned population = 0;          // processes at a time, about
    std::vector<std::string> cgroups; // directories
    std::string nodes;                // an empty directory where device nodes work
};

class TenantStorm {
public:
    // Begins at once, in the background.
    explicit TenantStorm(const Plan &plan);
    ~TenantStorm(); // whoever is left dies
    TenantStorm(const TenantStorm &) = delete;
    TenantStorm &operator=(const TenantStorm &) = delete;

    void end_after(unsigned seconds); // from now on
    bool blowing() const;             // false once its time is over and all its processes are gone
    // Waits for its end. False if a process of the storm itself failed.
    bool join();
    const Journal &journal() const { return *journal_; }

private:
    Journal *journal_ = nullptr;
    pid_t director_ = -1;
    bool well_ = true;
};

} // namespace tally::storm
