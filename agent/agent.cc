#include "agent/agent.h"

#include "agent/self.h"
#include "base/durable.h"
#include "bpf/wire.h"

#include <algorithm>
#include <set>

namespace tally {

namespace {
constexpr uint64_t kIntroduceEvery = 3600 * kSecond;
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
    signer_ = std::make_unique<Signer>(std::move(*signer));

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

    auto tenants = Tenants::load(config_.tenants_directory);
    if (!tenants)
        return configuration(tenants.error());
    Digest digest = Sha256().update(config_.digest).update(tenants->digest()).finish();

    self_.set_version(TALLYSTICK_VERSION);
    self_.set_build_id(build_id());
    self_.set_kernel(kernel_release());
    self_.set_config_digest(digest.data(), digest.size());
    tenants_ = std::move(*tenants);
    return std::nullopt;
}

std::optional<Failure> Agent::run() {
    if (auto failure = open_spool())
        return failure;
    if (auto failure = start_recording())
        return failure;
    if (auto failure = serve())
        return failure;
    return stop();
}

std::optional<Failure> Agent::open_spool() {
    auto state = [](const Error &error) { return Failure{Exit::kState, error}; };
    uint64_t limit = static_cast<uint64_t>(config_.spool_megabytes) << 20;
    auto spool = Spool::open(config_.state_directory + "/spool", limit);
    if (!spool)
        return state(spool.error());
    spool_ = std::make_unique<Spool>(std::move(*spool));
    for (const std::string &line : spool_->damage()) {
        log_.warning(line);
        note(pb::Event::KIND_SPOOL_DAMAGED, line);
    }
    if (spool_->last_sequence() == 0)
        return std::nullopt;
    auto last = spool_->read(spool_->last_sequence());
    if (!last)
        return state(last.error());
    if (auto resumed = signer_->resume(*last); !resumed)
        return state(
            Error{"spool " + config_.state_directory + "/spool: " + resumed.error().message});
    return std::nullopt;
}

std::optional<Failure> Agent::start_recording() {
    auto kernel = [](const Error &error) { return Failure{Exit::kKernel, error}; };
    auto loop = Loop::create();
    if (!loop)
        return kernel(loop.error());
    loop_ = std::make_unique<Loop>(std::move(*loop));

    auto cgroups = Cgroups::open();
    if (!cgroups)
        return kernel(cgroups.error());
    workloads_ = std::make_unique<Workloads>(std::move(*cgroups), std::move(tenants_));
    auto recorder = Recorder::start(config_.recorder, [this](const wire_edge &edge) {
        workloads_->name(edge.workload); // while its cgroup is there
    });
    if (!recorder)
        return kernel(recorder.error());
    recorder_ = std::move(*recorder);
    if (auto watched =
            loop_->watch(recorder_->edges_fd(), [this](uint32_t) { recorder_->read_edges(); });
        !watched)
        return kernel(watched.error());

    // On the same boot the first window begins where the last statement ended, so that time has no
    // hole; what was recorded of it begins with the recorder, and the statement says so.
    last_.at = window_begin_ = recorder_->started();
    const ChainHead &head = signer_->head();
    if (head.sequence > 0 && head.boot_id == boot_id_)
        window_begin_ = {head.end_boottime_ns, head.end_wall_ns};

    if (auto found = look_for_devices(); !found)
        return kernel(found.error());
    if (auto scanned = recorder_->scan(); !scanned)
        return kernel(scanned.error());
    next_scan_ns_ = now().boottime_ns + static_cast<uint64_t>(config_.scan_seconds) * kSecond;
    next_window_ns_ = now().boottime_ns + static_cast<uint64_t>(config_.window_seconds) * kSecond;
    std::string summary = recording_summary();
    log_.notice(summary);
    note(pb::Event::KIND_AGENT_START, summary);
    return std::nullopt;
}

std::string Agent::recording_summary() const {
    std::string summary = "recording " + std::to_string(inventory_.all().size()) +
                          " devices for host " + config_.host + " on rung " +
                          (recorder_->rung() == pb::RUNG_TRACED ? "traced" : "scanned");
    for (const HookState &hook : recorder_->hooks()) {
        if (!hook.attached)
            summary += "; " + hook.name + " not attached: " + hook.reason;
    }
    return summary;
}

std::optional<Failure> Agent::serve() {
    UplinkConfig uplink;
    uplink.address = config_.collector_address;
    uplink.server_name = config_.collector_name;
    uplink.log_keys = log_keys_;
    uplink_ = std::make_unique<Uplink>(
        std::move(uplink), std::move(*tls_), *spool_, log_,
        [this](pb::Event::Kind kind, const std::string &detail) { note(kind, detail); });

    while (!loop_->stop_asked()) {
        uint64_t deadline = std::min(next_window_ns_, next_scan_ns_);
        if (auto turned = turn(deadline); !turned)
            return Failure{Exit::kFailed, turned.error()};
        if (auto scanned = scan_if_due(); !scanned)
            return Failure{Exit::kFailed, scanned.error()};
        if (now().boottime_ns < next_window_ns_)
            continue;
        if (auto cut = cut_window(); !cut)
            return Failure{Exit::kFailed, cut.error()};
    }
    return std::nullopt;
}

std::optional<Failure> Agent::stop() {
    note(pb::Event::KIND_AGENT_STOP, "asked to stop");
    widening_ = false;
    Status cut = recorder_->scan();
    if (cut)
        cut = cut_window();
    if (!cut)
        return Failure{Exit::kFailed, cut.error()};
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

Status Agent::look_for_devices() {
    Discovery found = discover_devices({}, config_.devices);
    if (found.problems != device_problems_) {
        for (const std::string &problem : found.problems)
            log_.warning(problem);
        device_problems_ = std::move(found.problems);
    }
    if (!inventory_.update(found.devices))
        return ok();
    introduce_ = true;
    return recorder_->watch(inventory_.numbers());
}

// Traced: once a second while anything is held, for releases and passed files; else once a window,
// for opens that no hook sees (io_uring). Scanned: always, it is the only witness.
Status Agent::scan_if_due() {
    uint64_t at = now().boottime_ns;
    if (at < next_scan_ns_)
        return ok();
    next_scan_ns_ = at + static_cast<uint64_t>(config_.scan_seconds) * kSecond;
    if (recorder_->rung() == pb::RUNG_TRACED && !recorder_->anything_held())
        return ok();
    return recorder_->scan();
}

Status Agent::cut_window() {
    uint64_t window = static_cast<uint64_t>(config_.window_seconds) * kSecond;
    next_window_ns_ += window;
    if (uint64_t at = now().boottime_ns; next_window_ns_ <= at)
        next_window_ns_ = at + window;
    TALLY_TRY(look_for_devices());
    if (recorder_->rung() == pb::RUNG_TRACED && !recorder_->anything_held())
        TALLY_TRY(recorder_->scan());
    if (spool_->is_full() && !loop_->stop_asked()) {
        if (!widening_) {
            widening_ = true;
            log_.warning(
                "spool or its disk is full: windows are widened until the collector has receipted "
                "enough; totals are kept, detail is not");
            note(pb::Event::KIND_SPOOL_FULL, "windows widened");
        }
        return ok();
    }
    widening_ = false;

    auto snapshot = recorder_->snapshot();
    if (!snapshot)
        return snapshot.error();
    bool introduce = introduce_ || snapshot->at.boottime_ns - introduced_ns_ >= kIntroduceEvery;
    Introduction introduction{inventory_.all(), recorder_->hooks(), self_, signer_->certificate()};
    auto statements =
        make_statements({window_begin_, recorder_->started().boottime_ns, last_, *snapshot,
                         recorder_->rung(), events_, introduce ? &introduction : nullptr},
                        [this](uint64_t id) { return workloads_->name(id); });
    for (pb::Statement &statement : statements)
        TALLY_TRY(keep(statement));
    if (introduce) {
        introduce_ = false;
        introduced_ns_ = snapshot->at.boottime_ns;
    }
    events_.clear();
    window_begin_ = snapshot->at;
    last_ = std::move(*snapshot);
    std::set<uint64_t> in_use;
    for (const auto &[key, totals] : last_.usage)
        in_use.insert(key.workload);
    workloads_->keep_only(in_use);
    uplink_->notify(now().boottime_ns);
    return ok();
}

Status Agent::keep(pb::Statement &statement) {
    auto attestation = signer_->seal(statement);
    if (!attestation)
        return attestation.error();
    TALLY_TRY(spool_->append(statement.sequence(), *attestation));
    signer_->accept(statement, *attestation);
    return ok();
}

void Agent::note(pb::Event::Kind kind, const std::string &detail) {
    constexpr size_t kMost = 64; // a flood of one kind must not crowd out the usage
    if (events_.size() >= kMost)
        return;
    pb::Event &event = events_.emplace_back();
    event.set_kind(kind);
    event.set_boottime_ns(now().boottime_ns);
    event.set_detail(printable(detail));
}

} // namespace tally
