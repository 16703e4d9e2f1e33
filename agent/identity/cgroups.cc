#include "agent/identity/cgroups.h"

#include "agent/record/detached_mount.h"
#include "base/bytes.h"

#include <climits>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>

namespace tally {

Result<Cgroups> Cgroups::open() {
    auto mount = mount_detached("cgroup2");
    if (!mount)
        return mount.error();
    // open_by_handle_at(2) wants a descriptor that is really open; fsmount's is a bare path.
    Fd root(openat(mount->get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root)
        return errno_error("open the cgroup v2 hierarchy");
    return Cgroups(std::move(root));
}

Fd Cgroups::open_cgroup(uint64_t cgroup_id) const {
    constexpr int kFileIdKernfs = 0xfe; // FILEID_KERNFS, include/linux/exportfs.h
    struct {
        file_handle header;
        uint64_t id;
    } handle = {};
    handle.header.handle_bytes = sizeof(handle.id);
    handle.header.handle_type = kFileIdKernfs;
    std::memcpy(handle.header.f_handle, &cgroup_id, sizeof(cgroup_id));
    return Fd(open_by_handle_at(root_.get(), &handle.header, O_PATH | O_CLOEXEC));
}

std::string Cgroups::path(uint64_t cgroup_id) const {
    Fd directory = open_cgroup(cgroup_id);
    if (!directory)
        return {};
    char name[PATH_MAX];
    std::string link = "/proc/self/fd/" + std::to_string(directory.get());
    ssize_t length = readlink(link.c_str(), name, sizeof(name));
    if (length <= 0)
        return {};
    std::string path(name, static_cast<size_t>(length));
    // A directory removed after it was opened: what is left of its name would mislead.
    return path.ends_with(" (deleted)") || path.ends_with("//deleted") ? std::string() : path;
}

Result<uint64_t> Cgroups::id(const std::string &path) const {
    struct stat status = {};
    if (fstatat(root_.get(), ("." + path).c_str(), &status, 0) != 0)
        return errno_error("cgroup " + printable(path, PATH_MAX));
    return status.st_ino; // kernfs, 64 bit
}

std::vector<int> Cgroups::processes(uint64_t cgroup_id, size_t limit) const {
    std::vector<int> processes;
    Fd directory = open_cgroup(cgroup_id);
    if (!directory)
        return processes;
    Fd list(openat(directory.get(), "cgroup.procs", O_RDONLY | O_CLOEXEC));
    std::unique_ptr<FILE, int (*)(FILE *)> lines(list ? fdopen(list.get(), "r") : nullptr, fclose);
    if (!lines)
        return processes;
    list.release(); // fclose closes it
    for (int pid = 0; processes.size() < limit && std::fscanf(lines.get(), "%d", &pid) == 1;) {
        if (pid > 0) // 0: in another pid namespace than ours
            processes.push_back(pid);
    }
    return processes;
}

} // namespace tally
