// A platform that names its workloads: libvirt, Kubernetes, Slurm ... Each is a file of its own in
// sources/, whose head says which patterns it knows and which version of the platform writes them.
// Enabled by configuration ([identity] sources), asked in its order; the first that knows a cgroup
// names it. names.h lists what it can be named by.
//
// Whose word counts. A tenant with a container, a machine or a session of its own can make cgroups
// below it, of any name: /kubepods/pod7.../ as well as anybody's. What only root on the host can
// make is the way down to there. So:
//
// 1. A pattern is anchored at the hierarchy's root, or at a cgroup that the configuration names
//    ("kubernetes:/kubelet"). It is never looked for further down. The outermost platform is the
//    one that the host runs, and the only one believed: a pod in a container is that container.
// 2. Of systemd's, only its own slices may lead to a unit: slices are never delegated
//    (systemd.resource-control(5), Delegate=). What is below a unit is the unit's own business, and
//    believed only of a unit that is the platform's daemon (slurmstepd.scope). What is below
//    user@UID.service is UID's word, and says no more than that it is UID's.
// 3. A file is believed if none but root can write it (host_files.h) and it agrees with the cgroup:
//    it names the same id, UID or cgroup path. One that disagrees is as if it were not there.
// 4. No environment of a process, no image's label, no pod's own annotation is evidence.
//
// A source that cannot read what it expected gives the names it has.
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
// "NAME", or "NAME:/CGROUP" for a platform that was told to work below that cgroup. Nothing if
// there is none of that name, or it cannot be told.
std::unique_ptr<Source> make_source(const std::string &name);

} // namespace tally
