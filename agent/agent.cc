#include "agent/agent.h"

#include "agent/self.h"
#include "base/durable.h"

#include <algorithm>
#include <malloc.h>

namespace tally {

namespace {
constexpr uint64_t kLastReceipts = 5 * kSecond; // how long a stop waits for them
} // namespace

Agent::Agent(Config config, const Log &log) : config_(std::move(config)), log_(log) {
}

std::optional<Failure> Agent::prepare() {
    auto configuration = [](const Error &error) { return Failure{Exit::kConfiguration, error}; };
    auto boot_id = read_boot_id();
    if (!boot_id)
        return Failure{Exit::kKernel, boot_id.error()};
    boot_id_ = *boot_id;

    auto signer =
        Signer::load(config_.signing_key, config_.signing_certificate, config_.host, boot_id_);
    if (!signer)
        return configuration(signer.error());
    signer_ = std::move(*signer);

    auto vkeys = read_text(config_.log_keys);
    if (!vkeys)
        return configuration(Error{"log keys: " + vkeys.error().message});
    auto keys = parse_vkeys(*vkeys);
    if (!keys)
        return configuration(Error{"log keys " + config_.log_keys + ": " + keys.error().message});
    log_keys_ = std::move(*keys);

    auto tls = TlsContext::load({config_.fleet_ca, config_.tls_certificate, config_.tls_key});
    if (!tls)
        return configuration(tls.error());
    tls_ = std::make_unique<TlsContext>(std::move(*tls));

    auto disclosure = Disclosure::load(config_.privacy, config_.host);
    if (!disclosure)
        return configuration(disclosure.error());
    disclosure_ = *std::move(disclosure);

    tenants_watch_ = std::make_unique<TenantsWatch>(
        config_.tenants_directory, config_.tenant_names,
        static_cast<uint64_t>(config_.window_seconds) * kSecond, log_);
    auto tenants = tenants_watch_->load();
    if (!tenants)
        return configuration(tenants.error());

    self_.set_version(TALLYSTICK_VERSION);
    self_.set_build_id(build_id());
    self_.set_kernel(kernel_release());
    self_.set_privacy(privacy_name(config_.privacy.level));
    tenants_ = std::move(*tenants);
    return std::nullopt;
}

std::optional<Failure> Agent::run() {
    // A full window's buffers go back to the kernel: set, this does not grow with what was freed.
    mallopt(M_MMAP_THRESHOLD, 128 << 10);
    if (auto failure = open_chain())
        return failure;
    if (auto failure = start_recording())
        return failure;
    if (auto failure = serve())
        return failure;
    return stop();
}

std::optional<Failure> Agent::open_chain() {
    uint64_t limit = static_cast<uint64_t>(config_.spool_megabytes) << 20;
    auto chain = Chain::open(config_.state_directory, limit, std::move(*signer_));
    if (!chain)
        return Failure{Exit::kState, chain.error()};
    chain_ = std::move(*chain);
    for (const std::string &line : chain_->spool().damage()) {
        log_.warning(line);
        note(pb::Event::KIND_SPOOL_DAMAGED, line);
    }
    return std::nullopt;
}

std::optional<Failure> Agent::start_recording() {
    auto kernel = [](const Error &error) { return Failure{Exit::kKernel, error}; };
    auto loop = Loop::create();
    if (!loop)
        return kernel(loop.error());
    loop_ = std::make_unique<Loop>(std::move(*loop));
    guard_ =
        std::make_unique<Guard>(*loop_, [this](pb::Event::Kind kind, const std::string &detail) {
            if (events_.note(kind, detail, now().boottime_ns))
                log_.warning(event_line(kind, detail));
        });
    windows_ =
        std::make_unique<Windows>(config_, log_, *chain_, events_, *guard_, disclosure_, self_);
    if (auto started = windows_->start(boot_id_, std::move(tenants_)); !started)
        return kernel(started.error());
    if (auto watched =
            loop_->watch(windows_->edges_fd(), [this](uint32_t) { windows_->read_edges(); });
        !watched)
        return kernel(watched.error());
    if (auto watched = watch_tenants(); !watched)
        return kernel(watched.error());
    std::string summary = windows_->summary();
    log_.notice(summary);
    note(pb::Event::KIND_AGENT_START, summary);
    return std::nullopt;
}

Status Agent::watch_tenants() {
    int changes = tenants_watch_->start(now().boottime_ns);
    if (changes < 0)
        return ok();
    return loop_->watch(changes, [this](uint32_t) { tenants_watch_->on_ready(now().boottime_ns); });
}

void Agent::look_at_tenants() {
    auto tenants = tenants_watch_->look(now().boottime_ns);
    if (!tenants)
        return;
    if (*tenants)
        return windows_->set_tenants(std::move(**tenants));
    const std::string &wrong = tenants->error().message;
    log_.warning("tenant files: " + wrong + "; those before stay in force");
    note(pb::Event::KIND_CONFIG_REJECTED, wrong);
}

std::optional<Failure> Agent::serve() {
    UplinkConfig uplink;
    uplink.address = config_.collector_address;
    uplink.server_name = config_.collector_name;
    uplink.log_keys = log_keys_;
    uplink.checkpoint_path = config_.state_directory + "/checkpoint";
    uplink_ = std::make_unique<Uplink>(
        std::move(uplink), std::move(*tls_), chain_->spool(), log_,
        [this](pb::Event::Kind kind, const std::string &detail) { note(kind, detail); });

    while (!loop_->stop_asked()) {
        uint64_t deadline = std::min(windows_->deadline_ns(), tenants_watch_->look_due_ns());
        if (auto turned = turn(deadline); !turned)
            return Failure{Exit::kFailed, turned.error()};
        look_at_tenants();
        auto cut = windows_->turn();
        if (!cut)
            return Failure{Exit::kFailed, cut.error()};
        if (*cut)
            uplink_->notify(now().boottime_ns);
    }
    return std::nullopt;
}

std::optional<Failure> Agent::stop() {
    note(pb::Event::KIND_AGENT_STOP, "asked to stop");
    if (auto finished = windows_->finish(); !finished)
        return Failure{Exit::kFailed, finished.error()};
    uplink_->notify(now().boottime_ns);
    uplink_->finish(now().boottime_ns);
    uint64_t give_up = now().boottime_ns + kLastReceipts;
    while (!uplink_->finished() && now().boottime_ns < give_up) {
        if (auto turned = turn(give_up); !turned)
            return Failure{Exit::kFailed, turned.error()};
    }
    log_.notice(uplink_->idle() ? "stopped; everything is receipted"
                                : "stopped; what is not receipted stays in the spool");
    return std::nullopt;
}

Status Agent::turn(uint64_t deadline_ns) {
    loop_->set_guest(uplink_->fd(), uplink_->wanted_events(),
                     [this](uint32_t) { uplink_->on_ready(now().boottime_ns); });
    TALLY_TRY(loop_->wait(std::min(deadline_ns, uplink_->next_timer_ns())));
    if (uint64_t at = now().boottime_ns; at >= uplink_->next_timer_ns())
        uplink_->on_timer(at);
    return ok();
}

void Agent::note(pb::Event::Kind kind, const std::string &detail) {
    events_.note(kind, detail, now().boottime_ns);
}

} // namespace tally
