#include "agent/record/pins.h"

#include <algorithm>
#include <bpf/bpf.h>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace tally {

namespace fs = std::filesystem;

namespace {

constexpr const char *kUsualMount = "/sys/fs/bpf";

bool is_bpffs(const std::string &path) {
    struct statfs info = {};
    return statfs(path.c_str(), &info) == 0 &&
           static_cast<unsigned long>(info.f_type) == BPF_FS_MAGIC;
}

std::vector<std::string> names(const std::string &directory) {
    std::error_code none;
    std::vector<std::string> found;
    for (fs::directory_iterator at(directory, none), end; !none && at != end; at.increment(none))
        found.push_back(at->path().filename().string());
    std::sort(found.begin(), found.end());
    return found;
}

} // namespace

Result<Pins> Pins::open(const std::string &directory) {
    if (directory.starts_with(std::string(kUsualMount) + "/") && !is_bpffs(kUsualMount) &&
        mount("bpffs", kUsualMount, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700") != 0)
        return errno_error("mount a BPF file system on " + std::string(kUsualMount));
    if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
        return errno_error("create " + directory);
    if (!is_bpffs(directory))
        return Error{directory + ": not on a BPF file system"};
    return Pins(directory);
}

Status Pins::lock() {
    lock_.reset(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!lock_)
        return errno_error("open " + directory_);
    if (flock(lock_.get(), LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? Error{directory_ + ": another tallyd has it"}
                                    : errno_error("lock " + directory_);
    return ok();
}

Status Pins::unload(const std::string &directory) {
    if (access(directory.c_str(), F_OK) != 0 && errno == ENOENT)
        return ok();
    auto pins = open(directory);
    if (!pins)
        return pins.error();
    TALLY_TRY(pins->lock());
    // Hooks first: nothing counts into maps that are going.
    for (const char *kind : {"new", "hooks", ""}) {
        for (const std::string &set : pins->sets(kind))
            TALLY_TRY(pins->remove(set));
    }
    if (rmdir(directory.c_str()) != 0)
        return errno_error("remove " + directory);
    return ok();
}

std::vector<std::string> Pins::sets(const std::string &prefix) const {
    std::vector<std::string> all = names(directory_);
    std::erase_if(all, [&](const std::string &name) { return !name.starts_with(prefix); });
    return all;
}

std::vector<std::string> Pins::objects(const std::string &set) const {
    return names(directory_ + "/" + set);
}

Result<Fd> Pins::get(const std::string &set, const std::string &name) const {
    std::string path = directory_ + "/" + set + "/" + name;
    Fd fd(bpf_obj_get(path.c_str()));
    if (!fd)
        return errno_error(path);
    return fd;
}

Status Pins::put(const std::string &set, const std::string &name, int fd) const {
    std::string path = directory_ + "/" + set;
    if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
        return errno_error("create " + path);
    path += "/" + name;
    unlink(path.c_str());
    if (bpf_obj_pin(fd, path.c_str()) != 0)
        return errno_error("pin " + path);
    return ok();
}

Status Pins::rename(const std::string &from, const std::string &to) const {
    if (::rename((directory_ + "/" + from).c_str(), (directory_ + "/" + to).c_str()) != 0)
        return errno_error("rename " + directory_ + "/" + from);
    return ok();
}

Status Pins::remove(const std::string &set) const {
    std::string path = directory_ + "/" + set;
    for (const std::string &name : objects(set)) {
        std::string object = path;
        object.append("/").append(name);
        if (unlink(object.c_str()) != 0)
            return errno_error("unpin " + object);
    }
    if (rmdir(path.c_str()) != 0 && errno != ENOENT)
        return errno_error("remove " + path);
    return ok();
}

} // namespace tally
