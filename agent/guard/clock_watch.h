// Whether somebody sets the wall clock. Slewing (adjtime, NTP) changes its rate together with
// CLOCK_BOOTTIME's, so the offset between the two only moves when CLOCK_REALTIME is set
// (kernel/time/timekeeping.c) or a leap second is inserted. A timer of its own tells at once:
// read() fails with ECANCELED (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET).
#pragma once

#include "agent/clock.h"
#include "base/fd.h"
#include "base/result.h"

#include <optional>
#include <string>

namespace tally {

// CLOCK_REALTIME - CLOCK_BOOTTIME, and how far the truth may be from it: the clocks cannot be read
// at one instant, so realtime is read between two readings of boottime.
struct ClockOffset {
    int64_t ns = 0;
    int64_t error_ns = 0;
    int64_t suspended_ns = 0; // CLOCK_BOOTTIME - CLOCK_MONOTONIC
};
ClockOffset read_clock_offset();

// What to say of a change: nothing if it is none. `canceled`: the timer said that the clock was
// set. Resuming from suspend says so too, without a step.
std::optional<std::string> clock_step(const ClockOffset &before, const ClockOffset &after,
                                      bool canceled);

class ClockWatch {
public:
    static Result<ClockWatch> start();
    int fd() const { return timer_.get(); }

    // When fd() is readable, and whenever one likes: what was done to the clock since the last
    // call, or nothing.
    std::optional<std::string> check();

private:
    explicit ClockWatch(Fd timer) : timer_(std::move(timer)), offset_(read_clock_offset()) {}
    Status arm();

    Fd timer_;
    ClockOffset offset_;
};

} // namespace tally
