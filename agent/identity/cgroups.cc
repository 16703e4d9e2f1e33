#include "agent/identity/cgroups.h"

#include "agent/record/detached_mount.h"
#include "base/bytes.h"

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tally {

Result<std::string> unified_cgroup(const std::string &cgroup_file) {
    constexpr std::string_view kUnified = "0::";
    constexpr std::string_view kDeleted = " (deleted)";
    std::string_view rest = cgroup_file;
    while (!rest.empty()) {
        std::string_view line = take_until(rest, '\n');
        if (!line.starts_with(kUnified))
            continue;
        std::string path(line.substr(kUnified.size()));
        if (path.ends_with(kDeleted))
            return Error{"its cgroup is gone: the process has ended, or is about to"};
        if (path.starts_with("/.."))
            return Error{
                "its cgroup lies outside of this cgroup namespace: ask on the host itself"};
        return path;
    }
    return Error{"it is in no cgroup of the v2 hierarchy, which alone is recorded"};
}

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
    std::string path = path_of(directory);
    if (!path.empty() || errno != ENAMETOOLONG)
        return path;
    // Nested so deep that no call returns its path. The way down belongs to whoever runs its top.
    for (std::string below;; below = "/~") {
        if (auto above = path_of(directory); !above.empty())
            return above + below;
        if (errno != ENAMETOOLONG)
            return {};
        directory = Fd(openat(directory.get(), "..", O_PATH | O_CLOEXEC));
    }
}

std::string Cgroups::path_of(const Fd &directory) const {
    if (!directory)
        return {};
    char name[PATH_MAX];
    std::string link = "/proc/self/fd/" + std::to_string(directory.get());
    ssize_t length = readlink(link.c_str(), name, sizeof(name));
    if (length <= 0)
        return {};
    std::string path(name, static_cast<size_t>(length));
    if (!path.ends_with(" (deleted)") && !path.ends_with("//deleted"))
        return path;
    // A directory removed after it was opened: what is left of its name would mislead. Or one whose
    // name ends like that, which is there.
    struct stat status = {}, named = {};
    errno = ENOENT;
    if (fstat(directory.get(), &status) != 0 ||
        fstatat(root_.get(), path.c_str() + 1, &named, AT_SYMLINK_NOFOLLOW) != 0 ||
        status.st_ino != named.st_ino)
        return {};
    return path;
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
    // A threaded cgroup (libvirt's vcpu0, emulator) lists threads alone: cgroups(7).
    auto type = std::array<char, 16>();
    Fd kind(openat(directory.get(), "cgroup.type", O_RDONLY | O_CLOEXEC));
    bool threaded = kind && read(kind.get(), type.data(), type.size() - 1) > 0 &&
                    std::string(type.data()) == "threaded\n";
    Fd list(openat(directory.get(), threaded ? "cgroup.threads" : "cgroup.procs",
                   O_RDONLY | O_CLOEXEC));
    std::array<char, 4096> page = {}; // of some 500 numbers
    ssize_t length = list ? read(list.get(), page.data(), page.size()) : -1;
    std::string_view lines(page.data(), length > 0 ? static_cast<size_t>(length) : 0);
    while (processes.size() < limit && lines.find('\n') != std::string_view::npos) {
        auto number = parse_decimal(take_until(lines, '\n'));
        if (number && *number > 0) // 0: in another pid namespace than ours
            processes.push_back(static_cast<int>(*number));
    }
    return processes;
}

} // namespace tally
