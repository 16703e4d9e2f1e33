// Attaching a BPF program to a kernel tracepoint without a mounted tracefs.
#pragma once

#include "base/result.h"

struct bpf_program;
struct bpf_link;

namespace tally {

// The caller owns the link (bpf_link__destroy). `tracefs` is a descriptor of the file system's
// root; `name` is "category/event". An error names the tracepoint and the kernel's reason.
Result<bpf_link *> attach_tracepoint(bpf_program *program, int tracefs, const char *name);

} // namespace tally
