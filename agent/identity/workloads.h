// What the agent knows of each workload in use: who it is and who answers for it, read when its
// first hold begins, while there is something to read.
#pragma once

#include "agent/identity/resolver.h"

#include <cstdint>
#include <map>
#include <set>

namespace tally {

class Workloads {
public:
    explicit Workloads(Resolver resolver) : resolver_(std::move(resolver)) {}

    // Called when a hold begins and again when a window is cut; resolves once.
    const Workload &name(uint64_t cgroup_id);
    void told(uint64_t cgroup_id) { known_[cgroup_id].told = true; }
    // Who was seen with its first open file. Of several, on several devices, the first counts.
    void opened(uint64_t cgroup_id, const Opener &opener);
    // What an agent before this one knew of a workload that may be gone by now.
    void restore(uint64_t cgroup_id, Workload workload) {
        known_.insert_or_assign(cgroup_id, std::move(workload));
    }
    const std::map<uint64_t, Workload> &known() const { return known_; }
    // Forgets all but those still in use.
    void keep_only(const std::set<uint64_t> &in_use);
    const Tenants &tenants() const { return resolver_.tenants(); }

private:
    Resolver resolver_;
    std::map<uint64_t, Workload> known_;
};

} // namespace tally
