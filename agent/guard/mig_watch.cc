#include "agent/guard/mig_watch.h"

#include "agent/inventory/nvidia.h"

#include <sys/timerfd.h>
#include <unistd.h>
#include <utility>

namespace tally {

namespace {
constexpr time_t kEverySeconds = 1;
} // namespace

Result<MigWatch> MigWatch::start(DeviceRoots roots) {
    Fd timer(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    if (!timer)
        return errno_error("timer to look for MIG instances");
    return MigWatch(std::move(timer), std::move(roots));
}

bool MigWatch::check() {
    uint64_t expirations = 0;
    // Nothing to read, if something else asked: the answer is the same.
    [[maybe_unused]] ssize_t got = read(timer_.get(), &expirations, sizeof(expirations));
    std::string before = std::exchange(layout_, mig_layout(roots_));
    return layout_ != before;
}

Status MigWatch::looked() {
    bool arm = !mig_layout(roots_).empty();
    if (arm == armed_)
        return ok();
    itimerspec every = {};
    every.it_value.tv_sec = every.it_interval.tv_sec = arm ? kEverySeconds : 0;
    if (timerfd_settime(timer_.get(), 0, &every, nullptr) != 0)
        return errno_error("set the timer to look for MIG instances");
    armed_ = arm;
    return ok();
}

} // namespace tally
