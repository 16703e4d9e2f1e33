// The kernel objects that outlive an agent: maps and links pinned in a BPF file system, so that
// recording goes on while the agent restarts or is replaced.
//
//   <directory>/maps-v<WIRE_VERSION>-<usage entries>-<holder entries>/<map>
//   <directory>/hooks-<rung>-<asked>-<digest of the BPF object>-<...of maps>/<program>   its link
//
// bpffs names have no dots (kernel/bpf/inode.c).
#pragma once

#include "base/fd.h"
#include "base/result.h"

#include <string>
#include <vector>

namespace tally {

class Pins {
public:
    static constexpr const char *kDefaultDirectory = "/sys/fs/bpf/tallystick";

    // Creates the directory, and mounts a BPF file system on /sys/fs/bpf if the directory is below
    // it and nothing is mounted there. An error says why pins are not possible here.
    static Result<Pins> open(const std::string &directory);
    // For as long as this object lives, no other agent's. An error if another agent has it.
    Status lock();
    // Deletes everything below the directory, and it: programs stop, totals are gone. No directory
    // is no error.
    static Status unload(const std::string &directory);

    const std::string &directory() const { return directory_; }
    // Names of pinned sets that begin with `prefix`, sorted.
    std::vector<std::string> sets(const std::string &prefix) const;
    std::vector<std::string> objects(const std::string &set) const;
    Result<Fd> get(const std::string &set, const std::string &name) const;
    // Creates the set if need be; an object pinned under the name is replaced.
    Status put(const std::string &set, const std::string &name, int fd) const;
    Status rename(const std::string &from, const std::string &to) const;
    Status remove(const std::string &set) const;

private:
    explicit Pins(std::string directory) : directory_(std::move(directory)) {}
    std::string directory_;
    Fd lock_; // the directory, flock(2)ed
};

} // namespace tally
