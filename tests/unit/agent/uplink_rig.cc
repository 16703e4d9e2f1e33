#include "tests/unit/agent/uplink_rig.h"

namespace tally {

Rig::Rig() {
    testing::internal::CaptureStderr();
    PemIdentity host = make_leaf(ca, "host.test");
    files = {scratch / "ca.pem", scratch / "tls.pem", scratch / "tls.key"};
    spill(files.ca, view(ca.certificate));
    spill(files.certificate, view(host.certificate));
    spill(files.key, view(host.key));
    open_spool();
}

void Rig::open_spool() {
    uplink.reset();
    spool.reset();
    auto opened = Spool::open(scratch / "spool", 1 << 30, 4000);
    ASSERT_TRUE(opened) << opened.error().message;
    spool = std::move(*opened);
}

void Rig::append(uint64_t first, uint64_t last, size_t size) {
    for (uint64_t sequence = first; sequence <= last; sequence++)
        ASSERT_TRUE(spool->append(sequence, test_attestation(sequence, size)));
    if (uplink)
        uplink->notify(now());
}

Result<TlsContext> Rig::load_tls() const {
    return TlsContext::load(files);
}

void Rig::make_uplink(const std::string &address, std::vector<NoteKey> log_keys) {
    auto tls = load_tls();
    ASSERT_TRUE(tls) << tls.error().message;
    UplinkConfig config;
    config.address = address;
    config.server_name = kCollectorName;
    config.log_keys = std::move(log_keys);
    config.checkpoint_path = scratch / "checkpoint";
    uplink.emplace(std::move(config), std::move(*tls), *spool, log,
                   [this](pb::Event::Kind kind, const std::string &detail) {
                       events.emplace_back(kind, detail);
                   });
    tried = false;
}

bool Rig::run_until(const std::function<bool()> &done, bool hurry) {
    uint64_t give_up = read_clock(CLOCK_MONOTONIC) + 10 * kSecond;
    while (!done()) {
        if (read_clock(CLOCK_MONOTONIC) > give_up)
            return false;
        pollfd ready = {uplink->fd(), 0, 0};
        if (uplink->wanted_events() & EPOLLIN)
            ready.events |= POLLIN;
        if (uplink->wanted_events() & EPOLLOUT)
            ready.events |= POLLOUT;
        bool due = now() >= uplink->next_timer_ns();
        int count = poll(&ready, ready.fd < 0 ? 0 : 1, due ? 0 : 5);
        if (count > 0) {
            tried = true;
            uplink->on_ready(now());
            continue;
        }
        // Jumps only over back-off: a connection gets the time that it takes.
        if (hurry && ready.fd < 0 && uplink->next_timer_ns() != Uplink::kNever &&
            now() < uplink->next_timer_ns())
            pushed_ns += uplink->next_timer_ns() - now();
        if (now() >= uplink->next_timer_ns()) {
            bool connecting = uplink->state() == Uplink::State::kDisconnected;
            uplink->on_timer(now());
            tried = tried || (connecting && uplink->fd() < 0);
        }
    }
    return true;
}

bool Rig::finish() {
    uplink->finish(now());
    return run_until([this] { return uplink->finished(); });
}

int Rig::count(const std::string &log, const std::string &text) {
    int found = 0;
    for (size_t at = log.find(text); at != std::string::npos; at = log.find(text, at + 1))
        found++;
    return found;
}

std::string Rig::logged() {
    std::string text = testing::internal::GetCapturedStderr();
    testing::internal::CaptureStderr();
    return text;
}

} // namespace tally
