// The event loop: one epoll, one timer, one signal descriptor, one thread.
#pragma once

#include "agent/pulse.h"
#include "base/fd.h"
#include "base/result.h"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

struct epoll_event;

namespace tally {

class Loop {
public:
    // Blocks SIGTERM and SIGINT, which from now on only show as stop_asked(); ignores SIGPIPE.
    static Result<Loop> create();

    // `on_ready` gets the epoll events. A descriptor is watched once and until it is closed.
    Status watch(int fd, std::function<void(uint32_t events)> on_ready);

    // A descriptor that comes and goes, with changing wishes: told anew before each wait. -1: none.
    void set_guest(int fd, uint32_t events, std::function<void(uint32_t events)> on_ready);

    // Sleeps until something is ready, a signal came, or CLOCK_BOOTTIME reaches `deadline_ns`.
    Status wait(uint64_t deadline_ns);

    // Called with what to say when the loop did not run although it should have (pulse.h).
    void on_pause(std::function<void(const std::string &detail)> told) { told_ = std::move(told); }

    bool stop_asked() const { return stop_asked_; }

private:
    Loop() = default;
    Status add(int fd, uint64_t slot);
    int sleep(uint64_t deadline_ns, std::span<epoll_event> ready);

    Fd epoll_;
    Fd timer_;
    Fd signals_;
    std::vector<std::function<void(uint32_t)>> watched_;
    int guest_ = -1;
    std::function<void(uint32_t)> on_guest_;
    bool stop_asked_ = false;
    Pulse pulse_;
    std::function<void(const std::string &detail)> told_ = [](const std::string &) {};
};

} // namespace tally
