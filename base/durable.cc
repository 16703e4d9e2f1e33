#include "base/durable.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>

namespace tally {

namespace {

std::string parent_of(const std::string &path) {
    size_t slash = path.find_last_of('/');
    if (slash == std::string::npos)
        return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

Status write_all(int fd, ByteView bytes, const std::string &path) {
    while (!bytes.empty()) {
        ssize_t written = write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return errno_error("write " + path);
        bytes = bytes.subspan(static_cast<size_t>(written));
    }
    return ok();
}

} // namespace

Status replace_file_unsynced_name(const std::string &path, ByteView contents, unsigned mode) {
    std::string temporary = path + ".tmp";
    Fd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
    if (!fd)
        return errno_error("create " + temporary);
    TALLY_TRY(append_durably(fd.get(), contents, temporary));
    if (close(fd.release()) != 0)
        return errno_error("close " + temporary);
    if (rename(temporary.c_str(), path.c_str()) != 0)
        return errno_error("rename " + temporary + " to " + path);
    return ok();
}

Status replace_file(const std::string &path, ByteView contents, unsigned mode) {
    TALLY_TRY(replace_file_unsynced_name(path, contents, mode));
    return sync_directory(parent_of(path));
}

Status sync_directory(const std::string &directory) {
    Fd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd)
        return errno_error("open directory " + directory);
    if (fsync(fd.get()) != 0)
        return errno_error("fsync directory " + directory);
    return ok();
}

Status append_durably(int fd, ByteView bytes, const std::string &path) {
    TALLY_TRY(write_all(fd, bytes, path));
    if (fdatasync(fd) != 0)
        return errno_error("fdatasync " + path);
    return ok();
}

Status make_directories(const std::string &path, unsigned mode) {
    if (mkdir(path.c_str(), mode) == 0)
        return sync_directory(parent_of(path));
    if (errno == ENOENT) {
        TALLY_TRY(make_directories(parent_of(path), mode));
        if (mkdir(path.c_str(), mode) == 0)
            return sync_directory(parent_of(path));
    }
    struct stat found = {};
    if (errno == EEXIST && stat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode))
        return ok();
    return errno_error("create directory " + path);
}

Result<Bytes> read_file(const std::string &path, size_t limit) {
    Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd)
        return errno_error("open " + path);
    struct stat found = {};
    if (fstat(fd.get(), &found) == 0 && S_ISDIR(found.st_mode))
        return Error{"read " + path + ": is a directory"};
    Bytes contents;
    // procfs and sysfs files report size 0 or 4096: read until the end, whatever fstat says.
    for (;;) {
        size_t had = contents.size();
        contents.resize(had + 16384);
        ssize_t got = read(fd.get(), contents.data() + had, 16384);
        if (got < 0 && errno != EINTR)
            return errno_error("read " + path);
        contents.resize(had + static_cast<size_t>(got < 0 ? 0 : got));
        if (got == 0)
            return contents;
        if (contents.size() > limit)
            return Error{"read " + path + ": larger than " + std::to_string(limit) + " bytes"};
    }
}

Result<std::string> read_text(const std::string &path, size_t limit) {
    auto contents = read_file(path, limit);
    if (!contents)
        return contents.error();
    return std::string(text(*contents));
}

} // namespace tally
