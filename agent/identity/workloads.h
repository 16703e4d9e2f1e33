// What the agent knows of each workload in use: its cgroup path, read while it is there, and the
// tenant who answers for it.
#pragma once

#include "agent/identity/cgroups.h"
#include "agent/identity/tenants.h"

#include <cstdint>
#include <map>
#include <set>
#include <string>

namespace tally {

struct Workload {
    std::string cgroup_path; // empty: it was gone before it could be read
    Tenant tenant;
};

class Workloads {
public:
    Workloads(Cgroups cgroups, Tenants tenants)
        : cgroups_(std::move(cgroups)), tenants_(std::move(tenants)) {}

    // Called when a hold begins and again when a window is cut; reads the path once.
    const Workload &name(uint64_t cgroup_id);
    // What an agent before this one knew of a workload that may be gone by now.
    void restore(uint64_t cgroup_id, Workload workload) {
        known_.insert_or_assign(cgroup_id, std::move(workload));
    }
    const std::map<uint64_t, Workload> &known() const { return known_; }
    // Forgets all but those still in use.
    void keep_only(const std::set<uint64_t> &in_use);
    const Tenants &tenants() const { return tenants_; }

private:
    Cgroups cgroups_;
    Tenants tenants_;
    std::map<uint64_t, Workload> known_;
};

} // namespace tally
