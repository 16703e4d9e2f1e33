#include "agent/loop.h"

#include "agent/clock.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

namespace tally {

namespace {
// epoll_event.data: an index into watched_, or one of these.
constexpr uint64_t kTimer = ~uint64_t{0};
constexpr uint64_t kSignals = kTimer - 1;
constexpr uint64_t kGuest = kTimer - 2;
} // namespace

Result<Loop> Loop::create() {
    Loop loop;
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    if (sigprocmask(SIG_BLOCK, &stops, nullptr) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return errno_error("block signals");
    loop.epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
    loop.timer_.reset(timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC));
    loop.signals_.reset(signalfd(-1, &stops, SFD_NONBLOCK | SFD_CLOEXEC));
    if (!loop.epoll_ || !loop.timer_ || !loop.signals_)
        return errno_error("create the event loop");
    TALLY_TRY(loop.add(loop.timer_.get(), kTimer));
    TALLY_TRY(loop.add(loop.signals_.get(), kSignals));
    return loop;
}

Status Loop::add(int fd, uint64_t slot) {
    epoll_event event = {.events = EPOLLIN, .data = {.u64 = slot}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
        return errno_error("epoll_ctl");
    return ok();
}

Status Loop::watch(int fd, std::function<void(uint32_t)> on_ready) {
    watched_.push_back(std::move(on_ready));
    return add(fd, watched_.size() - 1);
}

void Loop::set_guest(int fd, uint32_t events, std::function<void(uint32_t)> on_ready) {
    // The old descriptor was closed, and left epoll by that, or is replaced here.
    if (guest_ >= 0 && guest_ != fd)
        epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, guest_, nullptr);
    guest_ = fd;
    on_guest_ = std::move(on_ready);
    if (fd < 0)
        return;
    epoll_event event = {.events = events, .data = {.u64 = kGuest}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0)
        epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event); // new under an old number
}

Status Loop::wait(uint64_t deadline_ns) {
    itimerspec when = {}; // all zero would disarm it
    deadline_ns = std::max<uint64_t>(deadline_ns, 1);
    when.it_value.tv_sec = static_cast<time_t>(deadline_ns / kSecond);
    when.it_value.tv_nsec = static_cast<long>(deadline_ns % kSecond);
    if (timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr) != 0)
        return errno_error("timerfd_settime");
    std::array<epoll_event, 8> ready = {};
    int count = sleep(deadline_ns, ready);
    if (count < 0 && errno != EINTR)
        return errno_error("epoll_wait");
    for (int i = 0; i < count; i++) {
        const epoll_event &event = ready[static_cast<size_t>(i)];
        uint64_t expirations = 0;
        signalfd_siginfo signal = {};
        if (event.data.u64 == kTimer) {
            // Nothing to learn from it: callers look at the clock.
            if (read(timer_.get(), &expirations, sizeof(expirations)) < 0)
                continue;
        } else if (event.data.u64 == kSignals) {
            if (read(signals_.get(), &signal, sizeof(signal)) > 0)
                stop_asked_ = true;
        } else if (event.data.u64 == kGuest) {
            if (guest_ >= 0)
                on_guest_(event.events);
        } else {
            watched_[event.data.u64](event.events);
        }
    }
    return ok();
}

int Loop::sleep(uint64_t deadline_ns, std::span<epoll_event> ready) {
    uint64_t at = read_clock(CLOCK_BOOTTIME);
    uint64_t length = deadline_ns > at ? deadline_ns - at : 0;
    if (auto pause = pulse_.rests(read_clock(CLOCK_MONOTONIC), length))
        told_(*pause);
    int count = epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()), -1);
    int failure = errno;
    if (auto pause = pulse_.wakes(read_clock(CLOCK_MONOTONIC)))
        told_(*pause);
    errno = failure;
    return count;
}

} // namespace tally
