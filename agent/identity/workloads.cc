#include "agent/identity/workloads.h"

namespace tally {

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

} // namespace tally
