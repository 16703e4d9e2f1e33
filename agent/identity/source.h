// A platform that names its workloads: libvirt, Kubernetes, Slurm ... Each is a file of its own in
// sources/, whose head says which patterns it knows and which version of the platform writes them.
// Enabled by configuration ([identity] sources), asked in its order; the first that knows a cgroup
// names it.
//
// What a tenant can write is not evidence: no environment of its processes, no file below a
// container's own root. A source that cannot read what it expected gives the names it has.
#pragma once

#include "agent/identity/host_files.h"
#include "agent/identity/identity.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tally {

struct Subject {
    std::string cgroup_path;                     // below the v2 root, "/" first; any bytes
    std::function<std::vector<int>()> processes; // in that cgroup now, at most a few
};

class Source {
public:
    virtual ~Source() = default;
    virtual const char *name() const = 0;
    // Nothing: the cgroup is none of this platform's. Never an error: whatever a tenant did to its
    // cgroup's name or a file's contents, the workload stays, with the names there are.
    virtual std::optional<Identity> identify(const Subject &subject,
                                             const HostFiles &files) const = 0;
};

// All that are built in, in their default order.
const std::vector<std::string> &source_names();
// Nothing if there is none of that name.
std::unique_ptr<Source> make_source(const std::string &name);

} // namespace tally
