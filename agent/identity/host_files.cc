#include "agent/identity/host_files.h"

#include <algorithm>
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <memory>
#include <sys/stat.h>
#include <sys/syscall.h>

namespace tally {

namespace {

Fd open_below(int root, const std::string &path, uint64_t flags) {
    // A NUL would shorten the path.
    if (path.find('\0') != std::string::npos)
        return {};
    open_how how = {};
    how.flags = flags | O_CLOEXEC;
    if ((flags & O_PATH) == 0) // which openat2(2) takes with nothing that concerns reading
        how.flags |= O_NONBLOCK | O_NOCTTY; // a FIFO in a file's place must not stop the agent
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    return Fd(static_cast<int>(syscall(SYS_openat2, root, path.c_str(), &how, sizeof(how))));
}

FileStamp stamp_of(const struct stat &status) {
    return {status.st_dev, status.st_ino,
            int64_t{status.st_ctim.tv_sec} * 1'000'000'000 + status.st_ctim.tv_nsec,
            static_cast<uint64_t>(status.st_size)};
}

} // namespace

Result<HostFiles> HostFiles::open(const std::string &root) {
    Fd directory(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!directory)
        return errno_error("open " + root);
    return HostFiles(std::move(directory));
}

std::optional<HostFiles::Contents> HostFiles::read(const std::string &path, size_t limit) const {
    // Looked at before it is opened: opening a device can do things.
    Fd seen = open_below(root_.get(), path, O_PATH);
    struct stat status = {};
    if (!seen || fstat(seen.get(), &status) != 0 || !S_ISREG(status.st_mode))
        return std::nullopt;
    Fd file = open_below(root_.get(), path, O_RDONLY);
    struct stat opened = {};
    if (!file || fstat(file.get(), &opened) != 0 || !S_ISREG(opened.st_mode))
        return std::nullopt;
    Contents contents;
    contents.text.resize(std::min<size_t>(limit, 4096));
    size_t length = 0;
    for (;;) {
        ssize_t got =
            ::read(file.get(), contents.text.data() + length, contents.text.size() - length);
        if (got < 0)
            return std::nullopt;
        if (got == 0)
            break;
        length += static_cast<size_t>(got);
        if (length == contents.text.size()) {
            if (length > limit)
                return std::nullopt;
            contents.text.resize(std::min(2 * length, limit + 1));
        }
    }
    contents.text.resize(length);
    contents.origin = {path, Sha256().update(view(contents.text)).finish(), stamp_of(opened)};
    return contents;
}

std::vector<std::string> HostFiles::list(const std::string &path, size_t limit) const {
    std::vector<std::string> names;
    Fd directory = open_below(root_.get(), path, O_RDONLY | O_DIRECTORY);
    if (!directory)
        return names;
    std::unique_ptr<DIR, int (*)(DIR *)> stream(fdopendir(directory.get()), closedir);
    if (!stream)
        return names;
    directory.release(); // closedir closes it
    while (const dirent *entry = readdir(stream.get())) {
        std::string name = entry->d_name;
        if (name == "." || name == "..")
            continue;
        if (names.size() == limit)
            break;
        names.push_back(std::move(name));
    }
    std::sort(names.begin(), names.end());
    return names;
}

std::optional<FileStamp> HostFiles::stamp(const std::string &path) const {
    Fd file = open_below(root_.get(), path, O_PATH);
    struct stat status = {};
    if (!file || fstat(file.get(), &status) != 0)
        return std::nullopt;
    return stamp_of(status);
}

} // namespace tally
