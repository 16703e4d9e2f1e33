#include "agent/record/hooks.h"

#include "agent/record/detached_mount.h"
#include "agent/record/tracepoint.h"
#include "base/bytes.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

namespace tally {

namespace {

std::vector<Hook> joined(std::vector<Hook> hooks, const std::vector<Hook> &more) {
    hooks.insert(hooks.end(), more.begin(), more.end());
    return hooks;
}

} // namespace

std::vector<pb::Rung> ladder(std::optional<pb::Rung> asked) {
    if (asked)
        return {*asked};
    return {pb::RUNG_EXACT, pb::RUNG_EXACT_KPROBE, pb::RUNG_SCANNED};
}

const std::vector<Hook> &hooks_of(pb::Rung rung) {
    // The guard's hooks come with every rung; what is not to be had is said, and no harm. The rungs
    // without trampolines or kprobes try the former all the same.
    static const std::vector<Hook> guard = {{"guard_signal", nullptr, false},
                                            {"guard_map", nullptr, false},
                                            {"guard_prog", nullptr, false},
                                            {"guard_trace", nullptr, false},
                                            {"guard_mapped", nullptr, false}};
    static const std::vector<Hook> kprobe_guard = {{"guard_signal", nullptr, false},
                                                   {"kprobe_guard_map", nullptr, false},
                                                   {"kprobe_guard_prog", nullptr, false},
                                                   {"kprobe_guard_trace", nullptr, false},
                                                   {"kprobe_guard_mapped", nullptr, false}};
    static const std::vector<Hook> exact = joined({{"exact_open"},
                                                   {"exact_leave"},
                                                   {"exact_release"},
                                                   {"exact_receive"},
                                                   {"exact_moving"},
                                                   {"moved"},
                                                   {"born"},
                                                   {"scan"}},
                                                  guard);
    static const std::vector<Hook> kprobe = joined({{"kprobe_opening"},
                                                    {"kprobe_open"},
                                                    {"kprobe_leave"},
                                                    {"kprobe_release"},
                                                    {"kprobe_receive"},
                                                    {"kprobe_moving"},
                                                    {"moved"},
                                                    {"born"},
                                                    {"scan"}},
                                                   kprobe_guard);
    // open and creat are old system calls that newer architectures lack.
    static const std::vector<Hook> traced =
        joined({{"opened_openat", "syscalls/sys_exit_openat"},
                {"opened_openat2", "syscalls/sys_exit_openat2"},
                {"opened_by_handle", "syscalls/sys_exit_open_by_handle_at"},
                {"opened_open", "syscalls/sys_exit_open", false},
                {"opened_creat", "syscalls/sys_exit_creat", false},
                {"moved", nullptr, false},
                {"born", nullptr, false},
                {"scan"}},
               guard);
    static const std::vector<Hook> scanned = joined({{"scan"}}, guard);
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

std::string tag_of(int program) {
    bpf_prog_info info = {};
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(program, &info, &size) != 0)
        return {};
    return to_hex(info.tag);
}

} // namespace tally
