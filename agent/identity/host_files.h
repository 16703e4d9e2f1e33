// Reads what the host's platforms left on disk, and nothing else: regular files of bounded size,
// below one root, never through a symbolic link that leads out of it (openat2(2),
// RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS). Directories may be links (/var/run, /var/lib/docker);
// the file itself must not be one.
#pragma once

#include "agent/identity/identity.h"
#include "base/fd.h"
#include "base/result.h"

#include <optional>
#include <string>
#include <vector>

namespace tally {

class HostFiles {
public:
    // "/" on a host; a captured tree in tests.
    static Result<HostFiles> open(const std::string &root);

    struct Contents {
        std::string text;
        Origin origin; // with the path as asked for
    };
    // Nothing if it cannot be read, is no regular file, or is larger than `limit` bytes; nor if
    // anyone but root, or the user that this runs as, owns it or can write it: that is no evidence.
    std::optional<Contents> read(const std::string &path, size_t limit = size_t{1} << 20) const;
    // The same of anyone's file: what it says is a claim.
    std::optional<std::string> read_claim(const std::string &path, size_t limit = 65536) const;
    bool exists(const std::string &path) const; // also a link that leads nowhere
    // Names in a directory, sorted, at most `limit`; none if it cannot be read.
    std::vector<std::string> list(const std::string &path, size_t limit = 4096) const;
    // As it is now; nothing if it is gone.
    std::optional<FileStamp> stamp(const std::string &path) const;

private:
    explicit HostFiles(Fd root) : root_(std::move(root)) {}
    std::optional<Contents> read_regular(const std::string &path, size_t limit, bool claim) const;
    Fd root_;
};

} // namespace tally
