// An uplink with a spool and certificates, driven by poll(2) and a clock that tests can push.
#pragma once

#include "agent/clock.h"
#include "agent/uplink/uplink.h"
#include "tests/unit/agent/scratch.h"
#include "tests/unit/agent/test_collector.h"

#include <poll.h>
#include <sys/epoll.h>

namespace tally {

struct Rig {
    Rig();

    // Opens the spool (again) with small segments, so that release is seen.
    void open_spool();
    void append(uint64_t first, uint64_t last, size_t size = 300);
    void make_uplink(const std::string &address, std::vector<NoteKey> log_keys);
    Result<TlsContext> load_tls() const;

    // Runs the uplink until `done`, for at most ten seconds of real time. With `hurry`, back-off
    // and timeouts are not waited for: the clock jumps to the next timer when nothing else happens.
    bool run_until(const std::function<bool()> &done, bool hurry = false);
    bool run_until_idle(bool hurry = false) {
        return run_until([this] { return uplink->idle(); }, hurry);
    }
    // Runs until the next failure has been dealt with.
    bool run_until_failed() {
        return run_until(
            [this] { return tried && uplink->state() == Uplink::State::kDisconnected; });
    }
    bool finish();
    // How often a line of the log has all of `text` in it.
    static int count(const std::string &log, const std::string &text);
    // What was logged since the last call.
    std::string logged();

    uint64_t now() const { return read_clock(CLOCK_MONOTONIC) + pushed_ns; }

    Scratch scratch;
    PemIdentity ca = make_ca("fleet");
    TlsFiles files;
    Log log{"uplink"};
    std::optional<Spool> spool;
    std::optional<Uplink> uplink;
    std::vector<std::pair<pb::Event::Kind, std::string>> events;
    uint64_t pushed_ns = 0;
    bool tried = false;
};

} // namespace tally
