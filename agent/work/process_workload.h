// Whose a process is that a source of work evidence names.
#pragma once

#include "agent/identity/cgroups.h"
#include "bpf/wire.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tally {

// A process that the scan found has the workload by which it holds; one that works through
// another's files has a cgroup all the same; and one that is gone was found by an earlier scan, if
// by any.
class ProcessWorkloads {
public:
    explicit ProcessWorkloads(std::string proc);

    void scanned(const std::vector<wire_holding> &holdings);
    uint64_t of(uint32_t process) const; // 0: nobody knows

private:
    uint64_t by_cgroup(uint32_t process) const;

    std::string proc_;
    std::optional<Cgroups> cgroups_;
    std::map<uint32_t, uint64_t> held_;        // process -> workload
    std::map<uint32_t, uint64_t> held_before_; // the last that was otherwise
};

} // namespace tally
