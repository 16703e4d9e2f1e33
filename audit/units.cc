#include "audit/units.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>

namespace tally {

namespace {

constexpr uint64_t kNsPerMs = 1'000'000;
constexpr uint64_t kNsPerSecond = 1'000'000'000;

template <typename... Arguments> std::string format(const char *pattern, Arguments... arguments) {
    char text[96];
    std::snprintf(text, sizeof(text), pattern, arguments...);
    return text;
}

using Long = unsigned long long; // what %llu takes

} // namespace

std::string duration_text(uint64_t ns) {
    Long seconds = ns / kNsPerSecond;
    if (seconds < 60)
        return format("%llu.%03llu s", seconds, Long{ns % kNsPerSecond / kNsPerMs});
    if (seconds < 3600)
        return format("%llu min %02llu s", seconds / 60, seconds % 60);
    return format("%llu h %02llu min", seconds / 3600, seconds / 60 % 60);
}

std::string seconds_text(uint64_t ns) {
    return format("%llu.%09llu", Long{ns / kNsPerSecond}, Long{ns % kNsPerSecond});
}

std::string utc_text(uint64_t wall_ns) {
    auto seconds = static_cast<time_t>(wall_ns / kNsPerSecond); // at most the year 2554
    tm parts = {};
    gmtime_r(&seconds, &parts);
    char text[32];
    std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts);
    return text + format(".%03llu UTC", Long{wall_ns % kNsPerSecond / kNsPerMs});
}

std::string percent_text(uint64_t part, uint64_t whole) {
    if (part >= whole)
        return whole == 0 ? "0.000" : "100.000";
    auto share = static_cast<long double>(part) / static_cast<long double>(whole);
    Long thousandths = std::min<Long>(static_cast<Long>(std::floor(share * 100'000)), 99'999);
    return format("%llu.%03llu", thousandths / 1000, thousandths % 1000);
}

std::string count_text(uint64_t count, const std::string &noun) {
    return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string range_text(uint64_t first, uint64_t last) {
    return std::to_string(first) + (first == last ? "" : " to " + std::to_string(last));
}

uint64_t saturating_add(uint64_t a, uint64_t b) {
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

} // namespace tally
