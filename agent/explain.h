// `tallyd --explain PID`: whose a process is, by which names and which rule, and what of it would
// leave this host. Reads what the daemon reads, locks nothing and records nothing, so it works
// beside one that runs.
#pragma once

#include "agent/config.h"
#include "agent/identity/cgroups.h"
#include "agent/identity/resolver.h"
#include "agent/statement/disclosure.h"

#include <string>

namespace tally {

// The page. `process`: "1234 (python3)".
std::string explanation(const std::string &process, uint64_t cgroup_id, const Workload &workload,
                        const Disclosure &disclosure);

Result<std::string> explain(const std::string &pid, const Config &config);

} // namespace tally
