// From a cgroup to the tenant who answers for it: the sources say who the workload is, the tenant
// files say whose it is.
#pragma once

#include "agent/identity/cgroups.h"
#include "agent/identity/source.h"
#include "agent/identity/tenants.h"

#include <memory>
#include <string>
#include <vector>

namespace tally {

struct Workload {
    std::string cgroup_path; // empty: it was gone before it could be read
    Identity identity;
    Tenant tenant;
    Opener opener;
    bool told = false; // a statement since the last inventory has all of it
};

class Resolver {
public:
    // Of this host. `sources` are names that make_source() knows.
    static Result<Resolver> open(const std::vector<std::string> &sources, Tenants tenants);
    Resolver(Cgroups cgroups, HostFiles files, std::vector<std::unique_ptr<Source>> sources,
             Tenants tenants)
        : cgroups_(std::move(cgroups)), files_(std::move(files)), sources_(std::move(sources)),
          tenants_(std::move(tenants)) {}

    // The id of the cgroup at a path below the v2 root.
    Result<uint64_t> id(const std::string &path) const { return cgroups_.id(path); }
    // Reads the path, asks the sources, applies the tenants' rules.
    Workload resolve(uint64_t cgroup_id) const;
    // Whether the cgroup is gone: nobody can begin anything in it any more.
    bool is_gone(uint64_t cgroup_id) const { return cgroups_.path(cgroup_id).empty(); }
    // Whether a file that the identity was read from is another now. One that is gone is not: a
    // platform takes its files away before the last descriptor is closed.
    bool is_outdated(const Workload &workload) const;
    // By the tenants as they are now; the identity stays.
    Tenant tenant_of(const Workload &workload) const {
        return tenants_.of(workload.cgroup_path, workload.identity);
    }

    const Tenants &tenants() const { return tenants_; }
    void set_tenants(Tenants tenants) { tenants_ = std::move(tenants); }

private:
    Cgroups cgroups_;
    HostFiles files_;
    std::vector<std::unique_ptr<Source>> sources_;
    Tenants tenants_;
};

} // namespace tally
