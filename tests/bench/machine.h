// What benches hold their figures against: this machine, in the same run.
#pragma once

#include <string>

namespace tally {

// A number from the environment, for a bench that is to be larger or smaller.
double environment(const char *name, double otherwise);

// P-256 verifications per second as `openssl speed` has it, in as many processes at once; on these
// CPUs ("0", "0-3"), all if empty.
double openssl_rate(unsigned processes, const std::string &cpus = "");

// One line: what was measured, its limit, and whether it was met.
void verdict_at_most(const char *what, double value, double limit);
void verdict_at_least(const char *what, double value, double limit);

} // namespace tally
