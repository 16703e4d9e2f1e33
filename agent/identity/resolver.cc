#include "agent/identity/resolver.h"

#include <algorithm>

namespace tally {

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
