// Numbers as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace tally {

std::string duration_text(uint64_t ns); // "12.034 s", "3 min 04 s", "3 h 04 min"
std::string seconds_text(uint64_t ns);  // exact: "12.034000000"
std::string utc_text(uint64_t wall_ns); // "2026-03-01 12:00:00.250 UTC"
// Whole part and three decimals, never rounded up: 100.000 is said of nothing less.
std::string percent_text(uint64_t part, uint64_t whole);

std::string count_text(uint64_t count, const std::string &noun); // "1 window", "2 windows"
std::string range_text(uint64_t first, uint64_t last);           // "7", "7 to 9"

// Sums of what hosts claim: the largest value, rather than a small one, when they claim too much.
uint64_t saturating_add(uint64_t a, uint64_t b);

} // namespace tally
