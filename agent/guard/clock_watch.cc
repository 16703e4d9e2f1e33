#include "agent/guard/clock_watch.h"

#include <cerrno>
#include <cstdlib>
#include <limits>
#include <sys/timerfd.h>

namespace tally {

namespace {

constexpr int kReadings = 8;
constexpr int64_t kUnit = 1000; // ns; clocks are kept in finer units than they are read in
// Suspended for less than this: it was not.
constexpr int64_t kShortestSuspend = 1'000'000;

int64_t read(clockid_t clock) {
    return static_cast<int64_t>(read_clock(clock));
}

} // namespace

ClockOffset read_clock_offset() {
    ClockOffset best;
    best.error_ns = std::numeric_limits<int64_t>::max();
    for (int i = 0; i < kReadings; i++) {
        int64_t begin = read(CLOCK_BOOTTIME);
        int64_t wall = read(CLOCK_REALTIME);
        int64_t awake = read(CLOCK_MONOTONIC);
        int64_t end = read(CLOCK_BOOTTIME);
        int64_t error = (end - begin) / 2 + 1;
        if (error < best.error_ns)
            best = {wall - (begin + end) / 2, error, (begin + end) / 2 - awake};
    }
    return best;
}

std::optional<std::string> clock_step(const ClockOffset &before, const ClockOffset &after,
                                      bool canceled) {
    int64_t step = after.ns - before.ns;
    if (std::llabs(step) > before.error_ns + after.error_ns + kUnit)
        return "by " + std::string(step > 0 ? "+" : "") + std::to_string(step) + " ns";
    bool resumed = after.suspended_ns - before.suspended_ns > kShortestSuspend;
    if (canceled && !resumed)
        return "and set back, or by less than " + std::to_string(kUnit) + " ns";
    return std::nullopt;
}

Result<ClockWatch> ClockWatch::start() {
    Fd timer(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC));
    if (!timer)
        return errno_error("timer on the wall clock");
    ClockWatch watch(std::move(timer));
    TALLY_TRY(watch.arm());
    return watch;
}

Status ClockWatch::arm() {
    itimerspec never = {};
    never.it_value.tv_sec = std::numeric_limits<time_t>::max();
    if (timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never,
                        nullptr) != 0)
        return errno_error("arm the timer on the wall clock");
    return ok();
}

std::optional<std::string> ClockWatch::check() {
    uint64_t expirations = 0;
    bool canceled =
        ::read(timer_.get(), &expirations, sizeof(expirations)) < 0 && errno == ECANCELED;
    ClockOffset before = std::exchange(offset_, read_clock_offset());
    return clock_step(before, offset_, canceled);
}

} // namespace tally
