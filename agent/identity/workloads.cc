#include "agent/identity/workloads.h"

#include <algorithm>

namespace tally {

namespace {

// Whether a statement would say the same of both.
bool reads_alike(const Workload &a, const Workload &b) {
    auto same_file = [](const Origin &x, const Origin &y) {
        return x.path == y.path && x.digest == y.digest;
    };
    return a.cgroup_path == b.cgroup_path && a.identity.source == b.identity.source &&
           a.identity.names == b.identity.names && a.tenant == b.tenant &&
           std::equal(a.identity.origins.begin(), a.identity.origins.end(),
                      b.identity.origins.begin(), b.identity.origins.end(), same_file);
}

} // namespace

std::string TenantChange::text() const {
    std::string who = cgroup_path.empty() ? "" : printable(cgroup_path) + " ";
    return who + "(cgroup " + std::to_string(cgroup_id) + "): from " + chain_text(from) + " to " +
           chain_text(to) + ", by " + (to.rule.empty() ? "no rule" : to.rule);
}

const Workload &Workloads::name(uint64_t cgroup_id) {
    auto [entry, fresh] = known_.try_emplace(cgroup_id);
    if (fresh)
        entry->second = resolver_.resolve(cgroup_id);
    return entry->second;
}

void Workloads::opened(uint64_t cgroup_id, const Opener &opener) {
    name(cgroup_id);
    Workload &workload = known_.at(cgroup_id);
    if (workload.opener.known)
        return;
    workload.opener = opener;
    if (workload.tenant.name.empty()) // a statement that was made meanwhile did not have it
        workload.told = false;
}

void Workloads::keep_only(const std::set<uint64_t> &in_use) {
    std::erase_if(known_, [&](const auto &entry) { return !in_use.contains(entry.first); });
}

void Workloads::forget_gone(const std::set<uint64_t> &holding) {
    std::erase_if(known_, [&](const auto &entry) {
        return !holding.contains(entry.first) && resolver_.is_gone(entry.first);
    });
}

std::vector<Renamed> Workloads::read_again(bool all) const {
    std::vector<Renamed> renamed;
    for (const auto &[id, known] : known_) {
        if (!all && !resolver_.is_outdated(known))
            continue;
        Workload now = resolver_.resolve(id);
        // A file that could be read and now cannot is being written; names are not lost by that.
        if (now.cgroup_path.empty() || now.identity.origins.size() < known.identity.origins.size())
            continue;
        now.opener = known.opener; // the first there was
        now.told = known.told && reads_alike(now, known);
        renamed.push_back({id, std::move(now)});
    }
    return renamed;
}

std::vector<Renamed> Workloads::under(const Tenants &tenants) const {
    std::vector<Renamed> renamed;
    for (const auto &[id, known] : known_) {
        Tenant tenant = tenants.of(known.cgroup_path, known.identity);
        if (tenant == known.tenant)
            continue;
        Renamed &now = renamed.emplace_back(Renamed{id, known});
        now.workload.tenant = std::move(tenant);
        now.workload.told = false;
    }
    return renamed;
}

std::vector<TenantChange> Workloads::changes(const std::vector<Renamed> &renamed) const {
    std::vector<TenantChange> changes;
    for (const Renamed &now : renamed) {
        auto known = known_.find(now.cgroup_id);
        if (known != known_.end() && !known->second.tenant.is_same(now.workload.tenant))
            changes.push_back({now.cgroup_id, now.workload.cgroup_path, known->second.tenant,
                               now.workload.tenant});
    }
    return changes;
}

void Workloads::adopt(std::vector<Renamed> renamed) {
    for (Renamed &now : renamed) {
        auto known = known_.find(now.cgroup_id);
        if (known != known_.end())
            known->second = std::move(now.workload);
    }
}

} // namespace tally
