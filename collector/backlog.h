// How many bytes of attestations the collector has taken in and not answered yet. All streams share
// one; when it is crowded each reads only when it has nothing unanswered, so that the bound is
// kCrowded plus one attestation for each stream.
#pragma once

#include <atomic>
#include <cstddef>

namespace tally {

class Backlog {
public:
    static constexpr size_t kCrowded = 32U << 20;

    void add(size_t bytes) { bytes_ += bytes; }
    void remove(size_t bytes) { bytes_ -= bytes; }
    bool crowded() const { return bytes_ > kCrowded; }
    size_t bytes() const { return bytes_; }

private:
    std::atomic<size_t> bytes_ = 0;
};

} // namespace tally
