#include "agent/identity/resolver.h"

#include <algorithm>

namespace tally {

Result<Resolver> Resolver::open(const std::vector<std::string> &sources, Tenants tenants) {
    auto cgroups = Cgroups::open();
    if (!cgroups)
        return cgroups.error();
    auto files = HostFiles::open("/");
    if (!files)
        return files.error();
    std::vector<std::unique_ptr<Source>> made;
    made.reserve(sources.size());
    for (const std::string &name : sources)
        made.push_back(make_source(name));
    return Resolver(*std::move(cgroups), *std::move(files), std::move(made), std::move(tenants));
}

Workload Resolver::resolve(uint64_t cgroup_id) const {
    Workload workload;
    workload.cgroup_path = cgroups_.path(cgroup_id);
    if (workload.cgroup_path.empty())
        return workload;
    Subject subject{workload.cgroup_path, [&] { return cgroups_.processes(cgroup_id); }};
    for (const auto &source : sources_) {
        if (auto identity = source->identify(subject, files_)) {
            workload.identity = std::move(*identity);
            break;
        }
    }
    workload.tenant = tenant_of(workload);
    return workload;
}

bool Resolver::is_outdated(const Workload &workload) const {
    const auto &origins = workload.identity.origins;
    return std::any_of(origins.begin(), origins.end(), [&](const Origin &origin) {
        auto now = files_.stamp(origin.path);
        return now && *now != origin.stamp;
    });
}

} // namespace tally
