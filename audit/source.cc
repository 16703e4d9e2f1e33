#include "audit/source.h"

#include "base/fd.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>

namespace tally {

namespace fs = std::filesystem;

namespace {

constexpr int kDeepest = 10; // tile/entries/x018/x446/x744/x073/x709/x551/615.p/1

std::string partial_directory(const Tile &tile) {
    return Tile{tile.level, tile.index}.path() + ".p";
}

} // namespace

Result<Source> Source::open(const std::string &directory) {
    struct stat found = {};
    if (stat(directory.c_str(), &found) != 0)
        return errno_error("log " + directory);
    if (!S_ISDIR(found.st_mode))
        return Error{"log " + directory + ": is not a directory"};
    return Source(directory);
}

Error Source::error(const std::string &name, const std::string &message) const {
    return Error{directory_ + "/" + name + ": " + message};
}

Result<std::optional<Bytes>> Source::read(const std::string &name, size_t limit) const {
    std::string path = directory_ + "/" + name;
    // A pipe must not hold us up, a link not lead us elsewhere.
    Fd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd && (errno == ENOENT || errno == ENOTDIR))
        return std::optional<Bytes>();
    if (!fd && errno == ELOOP)
        return error(name, "is a symbolic link: copy the log with its files");
    if (!fd)
        return errno_error(path);
    struct stat found = {};
    if (fstat(fd.get(), &found) != 0)
        return errno_error(path);
    if (!S_ISREG(found.st_mode))
        return error(name, "is not a regular file");
    if (found.st_size > static_cast<off_t>(limit))
        return error(name, "has " + std::to_string(found.st_size) + " bytes: at most " +
                               std::to_string(limit) + " are possible");
    Bytes bytes(static_cast<size_t>(found.st_size));
    size_t had = 0;
    while (had < bytes.size()) {
        ssize_t got = ::read(fd.get(), bytes.data() + had, bytes.size() - had);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno_error(path);
        if (got == 0)
            return error(name, "became shorter while it was read");
        had += static_cast<size_t>(got);
    }
    return std::optional(std::move(bytes));
}

Result<Source::TileFile> Source::read_tile(const Tile &tile) const {
    std::vector<Tile> candidates = {tile};
    if (tile.width < kTileWidth) {
        for (unsigned width : partial_widths(tile)) {
            if (width > tile.width)
                candidates.push_back({tile.level, tile.index, width});
        }
        candidates.push_back({tile.level, tile.index});
    }
    for (const Tile &candidate : candidates) {
        auto bytes = read(candidate.path(), candidate.most_bytes());
        if (!bytes)
            return bytes.error();
        if (bytes->has_value())
            return TileFile{candidate, std::move(**bytes)};
    }
    return error(tile.path(), "missing");
}

std::vector<unsigned> Source::partial_widths(const Tile &tile) const {
    std::vector<unsigned> widths;
    std::error_code error;
    for (fs::directory_iterator at(directory_ + "/" + partial_directory(tile), error), end;
         !error && at != end; at.increment(error)) {
        auto width = parse_decimal(at->path().filename().string());
        if (width && *width > 0 && *width < kTileWidth)
            widths.push_back(static_cast<unsigned>(*width));
    }
    std::sort(widths.begin(), widths.end());
    return widths;
}

Status Source::for_each_file(const std::function<Status(const std::string &)> &visit) const {
    std::error_code failure;
    fs::recursive_directory_iterator at(directory_, failure);
    for (; !failure && at != fs::recursive_directory_iterator(); at.increment(failure)) {
        std::string name = at->path().lexically_relative(directory_).string();
        fs::file_status status = at->symlink_status(failure);
        if (failure)
            break;
        if (fs::is_directory(status)) {
            if (at.depth() >= kDeepest)
                return error(name, "not part of a log: directories are not that deep");
        } else if (fs::is_regular_file(status)) {
            TALLY_TRY(visit(name));
        } else {
            return error(name, fs::is_symlink(status)
                                   ? "is a symbolic link: copy the log with its files"
                                   : "not part of a log: not a regular file");
        }
    }
    if (failure)
        return Error{"read directory " + directory_ + ": " + failure.message()};
    return ok();
}

} // namespace tally
