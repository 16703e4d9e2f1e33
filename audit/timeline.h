// One host's time, as its statements cover it.
//
// Windows of one boot tile (the rules of evidence see to that), so time is missing in two places
// only: between boots, where the wall clock alone can say how much, and at the begin of a window
// in which recording set in late (Recording.since_boottime_ns).
#pragma once

#include "attest/statement.pb.h"

#include <cstdint>
#include <string>

namespace tally {

namespace pb = tallystick::v1;

// Clocks and restarts are never exact to less: what is shorter lowers the coverage shown but is no
// finding.
inline constexpr uint64_t kTolerance_ns = 1'000'000'000;

class Timeline {
public:
    struct Step {
        uint64_t missing_ns = 0; // not recorded, before or in this window
        bool new_boot = false;
        uint64_t clock_step_ns = 0; // the wall clock moved by this much against CLOCK_BOOTTIME
    };
    // The host's next statement. Parts of one window count once.
    Step add(const pb::Statement &statement);

    uint64_t first_sequence() const { return first_sequence_; }
    uint64_t last_sequence() const { return last_sequence_; }
    uint64_t begin_wall_ns() const { return begin_wall_ns_; }
    uint64_t end_wall_ns() const { return end_wall_ns_; }
    uint64_t windows() const { return windows_; }
    uint64_t boots() const { return boots_; }
    uint64_t covered_ns() const { return covered_ns_; }
    uint64_t wall_ns() const;     // covered and missing
    std::string coverage() const; // percent_text

private:
    uint64_t first_sequence_ = 0;
    uint64_t last_sequence_ = 0;
    uint64_t begin_wall_ns_ = 0;
    uint64_t end_wall_ns_ = 0;
    uint64_t windows_ = 0;
    uint64_t boots_ = 0;
    uint64_t covered_ns_ = 0;
    uint64_t missing_ns_ = 0;
    std::string boot_id_;
};

// The part of a window's CLOCK_BOOTTIME length that was recorded.
uint64_t recorded_ns(const pb::Statement &statement);

} // namespace tally
