// What a statement takes on the log, built with the fields that the agent fills.
#pragma once

#include "tests/unit/support/keys.h"

namespace tally {

// Prints the bytes of an entry for an idle host and for one with 8 devices and 20 workloads;
// returns the idle host's.
size_t print_sizes(const TestKeys &keys, const std::string &host);

} // namespace tally
