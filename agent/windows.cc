#include "agent/windows.h"

#include "agent/identity/opener.h"
#include "attest/balance.h"

#include <algorithm>
#include <set>
#include <utility>

namespace tally {

namespace {

constexpr uint64_t kIntroduceEvery = 3600 * kSecond;
constexpr uint64_t kMillisecond = kSecond / 1000;
// A scan that an edge asks for: soon, but never so often that scanning takes more than a twentieth
// of a processor.
constexpr uint64_t kSettleAfter = 10 * kMillisecond;
constexpr uint64_t kShortestPause = 50 * kMillisecond;
constexpr uint64_t kPausePerCost = 20;

} // namespace

Status Windows::start(const std::string &boot_id, Tenants tenants) {
    auto resolver = Resolver::open(config_.sources, {});
    if (!resolver)
        return resolver.error();
    workloads_ = std::make_unique<Workloads>(*std::move(resolver));
    put_in_force(std::move(tenants));
    auto recorder =
        Recorder::start(config_.recorder, [this](const wire_edge &edge, const wire_opener *opener) {
            act_on(edge, opener);
        });
    if (!recorder)
        return recorder.error();
    recorder_ = std::move(*recorder);
    works_ = make_works(config_.work_sources);
    recorder_->want_holdings(works_.any());
    kernel_guard_ =
        std::make_unique<KernelGuard>(*recorder_, *workloads_, inventory_, events_, log_);
    TALLY_TRY(take_up(boot_id));
    uint64_t at = now().boottime_ns;
    next_window_ns_ = at + static_cast<uint64_t>(config_.window_seconds) * kSecond;
    plan_scan();
    return ok();
}

// On the same boot the first window begins where the last statement ended, so that time has no
// hole. What is covered of it depends on what is left of the agent before.
Status Windows::take_up(const std::string &boot_id) {
    const std::optional<pb::Baseline> &baseline = chain_.baseline();
    const ChainHead &head = chain_.head();
    bool same_boot = head.sequence > 0 && head.boot_id == boot_id;

    last_.at = window_begin_ = recorder_->started();
    since_ns_ = recorder_->started().boottime_ns;
    if (same_boot) {
        window_begin_ = {head.end_boottime_ns, head.end_wall_ns};
        guard_.resume(window_begin_);
    }
    kernel_guard_->taken_up(same_boot);
    if (baseline)
        restore(*baseline);
    if (recorder_->adopted() && baseline) {
        last_ = totals_of(*baseline);
        recorder_->resume(last_);
    } else if (recorder_->adopted() && same_boot) {
        // Which of the totals are attested already, nobody knows: they begin anew.
        auto totals = recorder_->snapshot();
        if (!totals)
            return totals.error();
        last_ = std::move(*totals);
        last_.losses.clear();
        since_ns_ = last_.at.boottime_ns;
        log_.warning("the record of what is attested already is lost: totals begin anew");
    }
    TALLY_TRY(look_for_devices());
    TALLY_TRY(scan());
    if (recorder_->adopted() && recorder_->adopted_rung() != recorder_->rung())
        TALLY_TRY(attest_pause());
    auto totals = recorder_->hand_over(baseline ? totals_of(*baseline) : Snapshot{});
    if (!totals)
        return totals.error();
    if (*totals && baseline)
        return attest_inherited(std::move(**totals));
    return ok();
}

// The rung changes: what was recorded so far is as precise as the rung it was recorded on.
Status Windows::attest_pause() {
    auto snapshot = recorder_->snapshot();
    if (!snapshot)
        return snapshot.error();
    TALLY_TRY(attest(*snapshot, recorder_->adopted_rung()));
    last_ = std::move(*snapshot);
    return ok();
}

// Maps of another version: what they counted is attested as one last window of theirs.
Status Windows::attest_inherited(Recorder::HandOver totals) {
    last_ = totals_of(*chain_.baseline());
    since_ns_ = window_begin_.boottime_ns;
    totals.inherited.losses = last_.losses;
    // Who scanned for these maps, and when, is not known any more.
    totals.inherited.longest_scan_gap_ns =
        totals.inherited.at.boottime_ns - window_begin_.boottime_ns;
    std::string detail =
        std::to_string(totals.inherited.usage.size()) + " totals of an earlier version or capacity";
    log_.notice("handed over " + detail);
    events_.note(pb::Event::KIND_HANDED_OVER, detail, totals.inherited.at.boottime_ns);
    TALLY_TRY(attest(totals.inherited, recorder_->rung()));
    last_ = std::move(totals.own);
    return ok();
}

void Windows::restore(const pb::Baseline &baseline) {
    std::map<uint32_t, Device> devices;
    for (const pb::Device &device : baseline.devices())
        devices[device.index()] = from_message(device);
    inventory_.restore(std::move(devices));
    for (const pb::Workload &workload : baseline.workloads())
        workloads_->restore(workload.cgroup_id(), from_message(workload));
    restored_ = true;
    for (const pb::Statement &statement : baseline.statements()) {
        for (const pb::Usage &usage : statement.usage()) {
            if (held_is_lower_bound(usage))
                untracked_.insert(
                    {statement.workloads(static_cast<int>(usage.workload())).cgroup_id(),
                     usage.device()});
        }
    }
}

std::string Windows::summary() const {
    std::string summary = "recording " + std::to_string(inventory_.all().size()) +
                          " devices for host " + config_.host + " on rung " +
                          rung_name(recorder_->rung());
    if (recorder_->adopted())
        summary += ", taken up from an earlier agent";
    std::vector<std::pair<std::string, std::string>> missing; // reason, hooks
    for (const HookState &hook : recorder_->hooks()) {
        if (hook.attached)
            continue;
        if (!missing.empty() && missing.back().first == hook.reason)
            missing.back().second += ", " + hook.name;
        else
            missing.emplace_back(hook.reason, hook.name);
    }
    for (const auto &[reason, names] : missing)
        summary.append("; ").append(names).append(" not attached: ").append(reason);
    return summary;
}

void Windows::act_on(const wire_edge &edge, const wire_opener *opener) {
    if (edge.kind == WIRE_WORKLOAD_NEW) {
        workloads_->name(edge.workload);
        if (opener != nullptr)
            workloads_->opened(edge.workload, opener_of(*opener));
    }
    // A new holder's work is looked for in its processes, which a scan finds.
    if (edge.kind == WIRE_WORKLOAD_NEW && !works_.any())
        return;
    if (!recorder_->exact())
        return;
    uint64_t pause = std::max(kShortestPause, kPausePerCost * recorder_->scan_cost_ns());
    uint64_t soon = std::max<uint64_t>(edge.boottime_ns + kSettleAfter, last_scan_ns_ + pause);
    next_scan_ns_ = std::min(next_scan_ns_, soon);
}

// Exact: when an edge asks for one, and once a window; but if its hooks are silent, like traced.
// Traced: once a second while anything is held, for releases and passed files. Scanned: once a
// second, it is the only witness.
void Windows::plan_scan() {
    last_scan_ns_ = now().boottime_ns;
    next_scan_ns_ = edges_can_be_trusted() ? UINT64_MAX : next_regular_scan_ns();
}

Status Windows::scan() {
    TALLY_TRY(recorder_->scan());
    look_for_work();
    return ok();
}

void Windows::look_for_work() {
    if (works_.any())
        works_.look({recorder_->holdings(), inventory_.all(), now().boottime_ns, recorder_->rung()},
                    recorder_->anything_held());
}

Status Windows::look_for_devices() {
    Discovery found = discover_devices({}, config_.devices);
    if (found.problems != device_problems_) {
        for (const std::string &problem : found.problems)
            log_.warning(problem);
        device_problems_ = std::move(found.problems);
    }
    bool changed = inventory_.update(found.devices);
    guard_.looked(inventory_);
    introduce_ |= changed;
    std::map<uint32_t, uint32_t> numbers = inventory_.numbers();
    kernel_guard_->add_canary(numbers);
    auto corrected = recorder_->watch(numbers);
    if (!corrected)
        return corrected.error();
    if (*corrected > 0 && looked_ && !changed)
        kernel_guard_->devices_corrected(*corrected);
    looked_ = true;
    return ok();
}

Result<bool> Windows::turn() {
    uint64_t at = now().boottime_ns;
    if (at >= guard_.look_due_ns())
        TALLY_TRY(look_for_devices());
    if (at >= next_scan_ns_) {
        bool opens_are_seen = recorder_->rung() != pb::RUNG_SCANNED && kernel_guard_->hooks_fire();
        bool idle = opens_are_seen && !recorder_->anything_held();
        if (!idle)
            TALLY_TRY(scan());
        plan_scan();
    }
    if (at >= works_.due_ns())
        look_for_work();
    auto renamed = name_anew();
    if (!renamed)
        return renamed;
    if (at < next_window_ns_ && !(idle_ && recorder_->anything_held()))
        return renamed;
    uint64_t window = static_cast<uint64_t>(config_.window_seconds) * kSecond;
    next_window_ns_ = std::exchange(idle_, false) ? at + window : next_window_ns_ + window;
    if (next_window_ns_ <= at)
        next_window_ns_ = at + window;
    if (!chain_.spool().is_full()) {
        widening_ = false;
        return end_window();
    }
    if (!widening_) {
        widening_ = true;
        log_.warning(
            "spool or its disk is full: windows are widened until the collector has receipted "
            "enough; totals are kept, detail is not");
        events_.note(pb::Event::KIND_SPOOL_FULL, "windows widened", at);
    }
    return false;
}

Status Windows::finish() {
    return cut_now();
}

Status Windows::cut_now() {
    TALLY_TRY(inspect());
    auto snapshot = take_snapshot();
    if (!snapshot)
        return snapshot.error();
    return cut(std::move(*snapshot));
}

Result<bool> Windows::end_window() {
    TALLY_TRY(inspect());
    auto snapshot = take_snapshot();
    if (!snapshot)
        return snapshot.error();
    renamed_ = workloads_->read_again(/*all=*/false);
    idle_ = nothing_new(*snapshot);
    if (idle_)
        adopt(*snapshot);
    else
        TALLY_TRY(cut(std::move(*snapshot)));
    return !idle_;
}

Status Windows::inspect() {
    TALLY_TRY(look_for_devices());
    guard_.inspect();
    // What ended without its last descriptor's being seen, and opens that no hook sees.
    if (recorder_->rung() != pb::RUNG_SCANNED)
        TALLY_TRY(scan());
    kernel_guard_->inspect();
    if (!edges_can_be_trusted())
        next_scan_ns_ = std::min(next_scan_ns_, next_regular_scan_ns());
    return ok();
}

Result<Snapshot> Windows::take_snapshot() {
    return recorder_->rung() != pb::RUNG_SCANNED ? recorder_->snapshot_of_scan()
                                                 : recorder_->snapshot();
}

// The window so far could be told in one word, and may still grow.
bool Windows::nothing_new(const Snapshot &snapshot) const {
    uint64_t longest = static_cast<uint64_t>(config_.idle_window_seconds) * kSecond;
    uint64_t next =
        snapshot.at.boottime_ns + static_cast<uint64_t>(config_.window_seconds) * kSecond;
    return next <= window_begin_.boottime_ns + longest && !recorder_->anything_held() &&
           !introduce_ && events_.empty() && snapshot.losses == last_.losses &&
           snapshot.usage == last_.usage && untracked_.empty();
}

Status Windows::cut(Snapshot snapshot) {
    TALLY_TRY(recorder_->make_room(snapshot, last_, untracked_));
    TALLY_TRY(attest(snapshot, recorder_->rung()));
    last_ = std::move(snapshot);
    std::set<uint64_t> in_use;
    std::set<uint32_t> held; // devices
    for (const auto &[key, totals] : last_.usage) {
        in_use.insert(key.workload);
        if (totals.open_files > 0 || untracked_.contains(key))
            held.insert(key.device);
    }
    workloads_->keep_only(in_use);
    inventory_.forget(held);
    return ok();
}

// Says what happened between last_ and `until`.
Status Windows::attest(const Snapshot &until, pb::Rung rung) {
    recorder_->read_edges(); // who opened is told along with what
    bool introduce = introduce_ || until.at.boottime_ns - introduced_ns_ >= kIntroduceEvery;
    std::vector<HookState> hooks = recorder_->hooks();
    for (const auto *more : {&guard_.hooks(), &kernel_guard_->hooks()})
        hooks.insert(hooks.end(), more->begin(), more->end());
    note_changes(until);
    Introduction introduction{inventory_.all(), hooks, self_, chain_.certificate()};
    std::vector<SourcedWork> work = works_.take(until.at.boottime_ns);
    std::vector<pb::SourceState> sources = works_.tell_states(introduce);
    Outgoing outgoing(disclosure_);
    auto events = events_.all([&](pb::Event &event) { outgoing.let_out(event); });
    auto statements =
        make_statements({window_begin_, since_ns_, last_, until, rung, events,
                         introduce ? &introduction : nullptr, untracked_, work, sources},
                        [&](uint64_t id) {
                            const Workload &workload = workloads_->name(id);
                            bool brief = workload.told && !introduce;
                            return outgoing.workload(to_message(id, workload, brief), brief);
                        });
    if (Status sealed = outgoing.finish(statements); !sealed)
        log_.warning("names left as tokens without their boxes: " + sealed.error().message);
    WindowBalance balance;
    for (const pb::Statement &statement : statements) {
        for (const pb::Workload &workload : statement.workloads())
            workloads_->told(workload.cgroup_id());
        balance.add(statement);
    }
    // Said all the same: what does not add up is for the auditor to see, who finds it too.
    for (const Imbalance &imbalance : balance.imbalances())
        log_.warning("device " + std::to_string(imbalance.device) + ": " + imbalance.what);
    workloads_->adopt(std::exchange(renamed_, {}));
    note_untracked(until);
    workloads_->forget_gone(holding(until)); // they have been told, and are nobody's baseline
    TALLY_TRY(chain_.append(std::move(statements), baseline_of(until)));
    recorder_->forget_gap();
    if (introduce) {
        introduce_ = false;
        introduced_ns_ = until.at.boottime_ns;
    }
    events_.clear();
    window_begin_ = until.at;
    return ok();
}

// A file without room is seen when it is opened and by every scan, but its end is not: until a scan
// that began after it was last seen comes to its end without it, it may be held.
void Windows::note_untracked(const Snapshot &until) {
    if (recorder_->last_scan_ns() >= window_begin_.boottime_ns)
        untracked_.clear();
    for (const auto &[key, totals] : until.usage) {
        auto before = last_.usage.find(key);
        if (totals.untracked > (before == last_.usage.end() ? 0 : before->second.untracked))
            untracked_.insert(key);
    }
}

pb::Baseline Windows::baseline_of(const Snapshot &snapshot) const {
    pb::Baseline baseline;
    put_totals(baseline, snapshot);
    for (const auto &[index, device] : inventory_.all())
        *baseline.add_devices() = to_message(index, device);
    for (const auto &[id, workload] : workloads_->known())
        *baseline.add_workloads() = to_message(id, workload, /*brief=*/false);
    return baseline;
}

} // namespace tally
