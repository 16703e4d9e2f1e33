// Whether the hooks still fire. Once a window the agent does with a device of its own what tenants
// do with theirs, and looks whether each hook noticed: a program may be attached by all accounts
// and yet never run (kprobes switched off in debugfs, a trampoline taken over, a table entry
// deleted).
#pragma once

#include "agent/record/hooks.h"
#include "base/fd.h"
#include "bpf/wire.h"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace tally {

class Canary {
public:
    // A character device that every machine has, that nobody watches, and that does nothing when it
    // is opened. An error if there is none.
    static Result<Canary> open(const std::map<uint32_t, uint32_t> &watched);

    uint32_t number() const { return number_; } // WIRE_DEVICE_NUMBER

    // The hooks among `attached` that this can try, tried: which did not fire.
    std::vector<std::string> silent_hooks(pb::Rung rung, const std::set<std::string> &attached,
                                          wire_state &state) const;
    // Whether a scan since the last call found the descriptor that is kept for it.
    bool found_by_scan(const wire_state &state);

private:
    Canary(std::string path, uint32_t number, Fd kept)
        : path_(std::move(path)), number_(number), kept_(std::move(kept)) {}
    void try_whole_way(const std::string &prefix, wire_state &state,
                       std::set<std::string> &fired) const;
    void try_openings(const wire_state &state, std::set<std::string> &fired) const;

    std::string path_;
    uint32_t number_;
    Fd kept_;
    uint64_t found_ = 0;
};

} // namespace tally
