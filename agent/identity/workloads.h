// What the agent knows of each workload in use: who it is and who answers for it, read when its
// first hold begins, while there is something to read, and again when what it was read from
// changes.
//
// A window is told with one name for each workload: whoever finds that names have changed cuts the
// window with the names as they were, then adopts the new ones. Finding changes nothing.
#pragma once

#include "agent/identity/resolver.h"

#include <cstdint>
#include <map>
#include <set>
#include <vector>

namespace tally {

// A workload as it is known from some moment on.
struct Renamed {
    uint64_t cgroup_id = 0;
    Workload workload;
};

// Another tenant, or other payers, answer for a workload than did.
struct TenantChange {
    uint64_t cgroup_id = 0;
    std::string cgroup_path;
    Tenant from;
    Tenant to;
    // "/tenants/a (cgroup 4711): from acme to globex through middleman, by new.toml:3: ids ..."
    std::string text() const;
};

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
    // Forgets those that hold nothing any more and whose cgroup is gone.
    void forget_gone(const std::set<uint64_t> &holding);

    // Whoever reads otherwise now: because a file has changed (at most a few stat(2) for each that
    // was read from files), or, with `all`, whatever it was read from. Whose cgroup is gone stays.
    std::vector<Renamed> read_again(bool all) const;
    // Whoever is named otherwise by these rules.
    std::vector<Renamed> under(const Tenants &tenants) const;
    // Whose tenant changes by it, not only what is known of one.
    std::vector<TenantChange> changes(const std::vector<Renamed> &renamed) const;
    void adopt(std::vector<Renamed> renamed);

    const Tenants &tenants() const { return resolver_.tenants(); }
    void set_tenants(Tenants tenants) { resolver_.set_tenants(std::move(tenants)); }

private:
    Resolver resolver_;
    std::map<uint64_t, Workload> known_;
};

} // namespace tally
