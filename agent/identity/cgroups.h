// From a workload's number to the cgroup path that names it.
#pragma once

#include "base/fd.h"
#include "base/result.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tally {

// From the text of /proc/PID/cgroup: the path in the v2 hierarchy (cgroups(7)). An error if the
// process is in none that can be looked at from here.
Result<std::string> unified_cgroup(const std::string &cgroup_file);

class Cgroups {
public:
    static Result<Cgroups> open();

    // The path below the v2 hierarchy's root, such as "/machine.slice/vm-7.scope"; empty if the
    // cgroup is gone. A cgroup v2 id is the kernfs file handle of its directory
    // (fs/kernfs/mount.c, kernfs_encode_fh), so no directory is searched. Of a path over 4095
    // bytes, which no call returns, the part that is not, and "/~".
    std::string path(uint64_t cgroup_id) const;
    // The id of the cgroup at such a path, below the root as a process sees it.
    Result<uint64_t> id(const std::string &path) const;
    // Process ids in it, not below it, as it lists them, at most `limit`; thread ids of a threaded
    // cgroup; none if it is gone.
    std::vector<int> processes(uint64_t cgroup_id, size_t limit = 16) const;

private:
    explicit Cgroups(Fd root) : root_(std::move(root)) {}
    Fd open_cgroup(uint64_t cgroup_id) const;
    std::string path_of(const Fd &directory) const; // empty: errno says why
    Fd root_;
};

} // namespace tally
