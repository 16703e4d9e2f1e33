// Both clocks, read in one pass: boottime orders and measures, wall time tells when that was.
#pragma once

#include <cstdint>
#include <ctime>

namespace tally {

inline constexpr uint64_t kSecond = 1'000'000'000; // nanoseconds

struct Instant {
    uint64_t boottime_ns = 0; // CLOCK_BOOTTIME
    uint64_t wall_ns = 0;     // CLOCK_REALTIME since 1970-01-01T00:00:00Z
};

inline uint64_t read_clock(clockid_t clock) {
    timespec now = {};
    clock_gettime(clock, &now);
    return static_cast<uint64_t>(now.tv_sec) * kSecond + static_cast<uint64_t>(now.tv_nsec);
}

// Whoever is interrupted between the two readings reads again, or a busy machine would look like a
// clock that was set.
inline Instant now() {
    constexpr uint64_t kInterrupted = 100'000;
    Instant at;
    for (int tries = 0; tries < 8; tries++) {
        at = {read_clock(CLOCK_BOOTTIME), read_clock(CLOCK_REALTIME)};
        if (read_clock(CLOCK_BOOTTIME) - at.boottime_ns < kInterrupted)
            break;
    }
    return at;
}

} // namespace tally
