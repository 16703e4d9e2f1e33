// `tallyd --explain PID`: whose a process is, by which names and which rule, and what of it would
// leave this host. Reads what the daemon reads, locks nothing and records nothing, so it works
// beside one that runs.
#pragma once

#include "agent/config.h"
#include "agent/identity/resolver.h"
#include "agent/statement/disclosure.h"

#include <string>

namespace tally {

// From the text of /proc/PID/cgroup: the path in the v2 hierarchy (cgroups(7)). An error if the
// process is in none that can be looked at from here.
Result<std::string> unified_cgroup(const std::string &cgroup_file);

// The page. `process`: "1234 (python3)".
std::string explanation(const std::string &process, uint64_t cgroup_id, const Workload &workload,
                        const Disclosure &disclosure);

Result<std::string> explain(const std::string &pid, const Config &config);

} // namespace tally
