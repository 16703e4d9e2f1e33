#include "agent/record/hooks.h"

#include "agent/record/detached_mount.h"
#include "agent/record/tracepoint.h"

#include <bpf/libbpf.h>

namespace tally {

std::vector<pb::Rung> ladder(std::optional<pb::Rung> asked) {
    if (asked)
        return {*asked};
    return {pb::RUNG_EXACT, pb::RUNG_EXACT_KPROBE, pb::RUNG_SCANNED};
}

const std::vector<Hook> &hooks_of(pb::Rung rung) {
    static const std::vector<Hook> exact = {{"exact_open"},    {"exact_leave"}, {"exact_release"},
                                            {"exact_receive"}, {"moved"},       {"born"},
                                            {"scan"}};
    static const std::vector<Hook> kprobe = {
        {"kprobe_opening"}, {"kprobe_open"}, {"kprobe_leave"}, {"kprobe_release"},
        {"kprobe_receive"}, {"moved"},       {"born"},         {"scan"}};
    // open and creat are old system calls that newer architectures lack.
    static const std::vector<Hook> traced = {
        {"opened_openat", "syscalls/sys_exit_openat"},
        {"opened_openat2", "syscalls/sys_exit_openat2"},
        {"opened_by_handle", "syscalls/sys_exit_open_by_handle_at"},
        {"opened_open", "syscalls/sys_exit_open", false},
        {"opened_creat", "syscalls/sys_exit_creat", false},
        {"moved", nullptr, false},
        {"born", nullptr, false},
        {"scan"}};
    static const std::vector<Hook> scanned = {{"scan"}};
    switch (rung) {
    case pb::RUNG_EXACT:
        return exact;
    case pb::RUNG_EXACT_KPROBE:
        return kprobe;
    case pb::RUNG_TRACED:
        return traced;
    default:
        return scanned;
    }
}

bool follows_release(pb::Rung rung) {
    return rung == pb::RUNG_EXACT || rung == pb::RUNG_EXACT_KPROBE;
}

Result<bpf_link *> attach(const Hook &hook, bpf_program *program) {
    if (hook.tracepoint == nullptr) {
        bpf_link *link = bpf_program__type(program) == BPF_PROG_TYPE_TRACING &&
                                 bpf_program__expected_attach_type(program) == BPF_TRACE_ITER
                             ? bpf_program__attach_iter(program, nullptr)
                             : bpf_program__attach(program);
        if (link == nullptr)
            return errno_error("attach " + std::string(bpf_program__section_name(program)));
        return link;
    }
    auto tracefs = mount_detached("tracefs");
    if (!tracefs)
        return tracefs.error();
    return attach_tracepoint(program, tracefs->get(), hook.tracepoint);
}

} // namespace tally
