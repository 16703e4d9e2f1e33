// The schema's values in words, the same in every output.
#pragma once

#include "attest/rungs.h"

#include <string>
#include <vector>

namespace tally {

namespace pb = tallystick::v1;

std::string rung_precision(pb::Rung rung); // "opens exact, releases to one scan"
std::string event_name(pb::Event::Kind kind);
std::string grade_name(pb::Grade grade); // "held", "able", "sampled", "exact"
// The workload's cgroup path or, where nobody could read it in time, "id:" and the cgroup's id.
std::string cgroup_name(const pb::Workload &workload);
// "python3 (user 1000, file 259:1/1583)".
std::string opener_name(const pb::Opener &opener);

// Whom the tenant buys through, the payer last.
std::vector<std::string> parties_above(const pb::Workload &workload);
// Who pays in the end: the tenant itself, if it buys through nobody.
const std::string &payer_of(const pb::Workload &workload);

} // namespace tally
