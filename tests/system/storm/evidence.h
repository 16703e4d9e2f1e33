// All that is known of one (workload, device), in lines: for whoever has to find out why the log
// and the storm disagree.
#pragma once

#include "tests/system/attested.h"
#include "tests/system/storm/oracle.h"

#include <string>

namespace tally::storm {

std::string evidence(const History &history, const Bounds &bounds, const Attested &attested,
                     const AttestedKey &key, uint16_t cgroup, uint8_t device);

} // namespace tally::storm
