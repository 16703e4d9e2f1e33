// Who a workload is in its platform's own words, and where each word was read: what a source
// (source.h) makes of a cgroup. Nothing here says who pays: that is tenants.h.
#pragma once

#include "attest/crypto.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tally {

// A file as it was when it was read. Another stamp under the same path: read it again.
struct FileStamp {
    uint64_t device = 0;
    uint64_t inode = 0;
    int64_t changed_ns = 0; // st_ctim: also moves when a file is renamed into place
    uint64_t size = 0;
    bool operator==(const FileStamp &) const = default;
};

struct Origin {
    std::string path;
    Digest digest{}; // SHA-256 of what was read
    FileStamp stamp;
    bool operator==(const Origin &) const = default;
};

// Such as {"kubernetes.namespace", "team-a"}. Keys are ours; values are the platform's bytes, at
// most kMostNameBytes, and are made printable where they leave the host.
struct Name {
    std::string key;
    std::string value;
    bool operator==(const Name &) const = default;
};
inline constexpr size_t kMostNameBytes =
    253; // a DNS name; longer ones are cut, and say so with "~"

struct Identity {
    std::string source; // the first that knew the cgroup: "libvirt", "kubernetes" ...; empty: none
    std::vector<Name> names;
    std::vector<Origin> origins; // files that names were read from; none: the cgroup path alone

    bool operator==(const Identity &) const = default;
    // The value of a name; empty if there is none.
    const std::string &name(const std::string &key) const;
};

// Of a workload nobody answers for: who opened the device first, as the kernel has it.
struct Opener {
    std::string executable; // its file's name, without directories; empty: none, a kernel thread
    // That file's, as the kernel's inode has them: st_dev and st_ino, but where a file system shows
    // others to stat(2) (btrfs, overlayfs).
    uint64_t device = 0;
    uint64_t inode = 0;
    uint32_t user = 0; // effective user id, in the host's numbering
    bool known = false;
    bool operator==(const Opener &) const = default;
};

} // namespace tally
