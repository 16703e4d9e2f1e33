// The ladder of rungs and the BPF programs that each one attaches.
#pragma once

#include "attest/rungs.h"
#include "base/result.h"

#include <optional>
#include <string>
#include <vector>

struct bpf_link;
struct bpf_program;

namespace tally {

struct Hook {
    const char *program; // as in bpf/*.bpf.c
    // Attached by us; null: libbpf knows how, by the program's section.
    const char *tracepoint = nullptr;
    bool needed = true; // without it the rung is not what it says
};

// What the statement says of each hook.
struct HookState {
    std::string name; // the program
    bool attached = false;
    std::string reason; // why not
    std::string tag;    // BPF program tag, hex
};

// The rungs to try, best first: the one asked for, or those that are chosen by themselves. Traced
// is not: it slows every system call of the machine (README), scanned none.
std::vector<pb::Rung> ladder(std::optional<pb::Rung> asked);

const std::vector<Hook> &hooks_of(pb::Rung rung);

// Whether the rung sees final releases and passed files as they happen; else a scan does.
bool follows_release(pb::Rung rung);

// An error names the tracepoint or program and what the kernel said. The caller owns the link.
Result<bpf_link *> attach(const Hook &hook, bpf_program *program);

// The kernel's own digest of a program's instructions, hex; `program` is its descriptor.
std::string tag_of(int program);

} // namespace tally
