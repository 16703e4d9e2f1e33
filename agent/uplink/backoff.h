// How long to wait before trying again: gRPC's back-off (grpc/doc/connection-backoff.md), so that a
// fleet does not fall upon a collector that has just come back.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>

namespace tally {

class Backoff {
public:
    static constexpr uint64_t kFirst = 1'000'000'000; // nanoseconds
    static constexpr uint64_t kMost = 120 * kFirst;

    // After a failure: 1 s, then 1.6 times the last, at most 120 s; each 20 % up or down.
    uint64_t next() {
        wait_ = std::clamp(wait_ * 8 / 5, kFirst, kMost);
        return jittered();
    }
    // After a failure that needs a person.
    uint64_t longest() {
        wait_ = kMost;
        return jittered();
    }
    void reset() { wait_ = 0; }

private:
    uint64_t jittered() {
        std::uniform_int_distribution<uint64_t> around(wait_ * 4 / 5, wait_ * 6 / 5);
        return around(random_);
    }

    uint64_t wait_ = 0;
    std::minstd_rand random_{std::random_device{}()};
};

} // namespace tally
