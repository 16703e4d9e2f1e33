// Whether the agent ran when it meant to. Who is stopped (SIGSTOP, a debugger, the cgroup freezer)
// or starved of CPU cannot say so then, but can tell afterwards. Measured on CLOCK_MONOTONIC, which
// a suspended system does not move: that is no pause of the agent alone.
#pragma once

#include "agent/clock.h"

#include <cstdint>
#include <optional>
#include <string>

namespace tally {

// Told by the loop before each sleep and after it; answers with what to say of a pause.
class Pulse {
public:
    static constexpr uint64_t kLongest = 3 * kSecond; // later than this is a pause

    // At `monotonic_ns`, going to sleep for at most `sleep_ns`.
    std::optional<std::string> rests(uint64_t monotonic_ns, uint64_t sleep_ns);
    std::optional<std::string> wakes(uint64_t monotonic_ns);

private:
    uint64_t since_ns_ = 0; // of the last change between sleep and work; 0: before the first
    uint64_t sleep_ns_ = 0;
};

} // namespace tally
