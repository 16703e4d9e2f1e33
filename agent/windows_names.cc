// Under whose names a window is told: what is used is told under the names that held at the time,
// so wherever a tenant changes, a window ends.
#include "agent/windows.h"

#include <utility>

namespace tally {

// By new tenant files, or what an agent before this one knew is held against what is so now.
// Whether a window was cut for it.
Result<bool> Windows::name_anew() {
    if ((!restored_ && !next_tenants_) || chain_.spool().is_full())
        return false;
    if (std::exchange(restored_, false)) {
        auto cut = rename([&] { return workloads_->read_again(/*all=*/true); });
        if (!cut || *cut)
            return cut; // new files wait for the next turn
    }
    if (!next_tenants_)
        return false;
    auto cut = rename([&] { return workloads_->under(*next_tenants_); });
    if (!cut)
        return cut;
    bool others = next_tenants_->digest() != workloads_->tenants().digest();
    put_in_force(std::move(*std::exchange(next_tenants_, std::nullopt)));
    if (!others) {
        log_.notice("tenant files: as they were before");
        return cut;
    }
    introduce_ = true;
    std::string detail = "tenant files: " + std::to_string(workloads_->tenants().size()) +
                         " rules; the configuration's digest is now " +
                         to_hex(view(self_.config_digest()));
    log_.notice(detail);
    events_.note(pb::Event::KIND_CONFIG_CHANGED, detail, now().boottime_ns);
    return cut;
}

// If any tenant changes by what `find` finds, the window ends here, under the names as they were.
Result<bool> Windows::rename(const std::function<std::vector<Renamed>()> &find) {
    renamed_ = find();
    bool moves = !workloads_->changes(renamed_).empty();
    if (moves) {
        TALLY_TRY(cut_now());
        renamed_ = find(); // whoever was named only when the window was told
    }
    adopt(last_);
    return moves;
}

// Who is renamed from `at` on. A change during a hold is an event of the window that it ends, so
// that both are in the record or neither is: then the agent that comes next sees it change.
void Windows::note_changes(const Snapshot &at) {
    std::set<uint64_t> holding = this->holding(at);
    for (const TenantChange &change : workloads_->changes(renamed_)) {
        if (!holding.contains(change.cgroup_id))
            continue;
        log_.warning(event_line(pb::Event::KIND_TENANT_CHANGED, change.text()));
        events_.note(pb::Event::KIND_TENANT_CHANGED, change.text(), at.at.boottime_ns);
    }
}

void Windows::adopt(const Snapshot &at) {
    note_changes(at);
    workloads_->adopt(std::exchange(renamed_, {}));
}

std::set<uint64_t> Windows::holding(const Snapshot &snapshot) const {
    std::set<uint64_t> holding;
    for (const auto &[key, totals] : snapshot.usage) {
        if (key.workload != kAnybody && (totals.open_files > 0 || untracked_.contains(key)))
            holding.insert(key.workload);
    }
    return holding;
}

void Windows::put_in_force(Tenants tenants) {
    workloads_->set_tenants(std::move(tenants));
    Digest digest = Sha256().update(config_.digest).update(workloads_->tenants().digest()).finish();
    self_.set_config_digest(digest.data(), digest.size());
}

} // namespace tally
