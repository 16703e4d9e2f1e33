// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guard: what somebody does to the agent, to our maps and programs, or to a device behind its
 * driver's back. One record for each deed, in a ring that stays in the kernel, so that what was
 * done while no agent ran is told by the next one. Nothing is prevented. Each hook is optional.
 *
 * guard_signal: kill(2) and all others -> __send_signal_locked -> trace_signal_generate
 *   (kernel/signal.c), after whether it was delivered is known. On every rung.
 * guard_map: BPF_MAP_GET_FD_BY_ID, BPF_OBJ_GET -> bpf_map_new_fd -> security_bpf_map.
 * guard_prog: the same for programs -> bpf_prog_new_fd -> security_bpf_prog
 *   (kernel/bpf/syscall.c). Links pass no such place: a scan finds who has one.
 * guard_trace: ptrace(2) to attach, /proc/PID/mem, process_vm_writev(2), pidfd_getfd(2)
 *   -> __ptrace_may_access -> security_ptrace_access_check (kernel/ptrace.c).
 * guard_mapped: mmap of a resource file -> pci_mmap_resource_uc or _wc (drivers/pci/pci-sysfs.c),
 *   or of /proc/bus/pci/BB/DD.F -> proc_bus_pci_mmap (drivers/pci/proc.c); both
 *   -> pci_mmap_resource_range (drivers/pci/mmap.c).
 *
 * The kprobe_guard_* are the same as kprobes.
 */
#include "bpf/guard.h"

SEC("tp_btf/signal_generate")
int BPF_PROG(guard_signal, int signal, struct kernel_siginfo *info, struct task_struct *task,
             int group, int result) {
    struct wire_state *state = get_state();
    struct wire_guard record = {.kind = WIRE_SIGNALLED, .number = signal};
    __u32 self;

    /* Every signal of the machine comes by here: the plain load first, no helper call. */
    if (!state || !state->agent || (__u32)task->tgid != state->agent ||
        state->generation != generation || result == TRACE_SIGNAL_IGNORED)
        return 0;
    self = bpf_get_current_pid_tgid() >> 32 == state->agent;
    if (self && !is_fault(signal))
        return 0;
    /* 0 and 1 are no pointers: SEND_SIG_NOINFO, SEND_SIG_PRIV (include/linux/sched/signal.h) */
    record.by_kernel = (__u64)info == 1 || ((__u64)info > 1 && BPF_CORE_READ(info, si_code) > 0);
    tell_guard(&record);
    if (self || !survives(signal))
        state->agent = 0; /* the number will be another's */
    return 0;
}

SEC("fentry/security_bpf_map")
int BPF_PROG(guard_map, struct bpf_map *map) {
    return took_map(map);
}

SEC("fentry/security_bpf_prog")
int BPF_PROG(guard_prog, struct bpf_prog *prog) {
    return took_program(prog);
}

SEC("fentry/security_ptrace_access_check")
int BPF_PROG(guard_trace, struct task_struct *child, unsigned int mode) {
    return asked_for_access(child, mode);
}

SEC("fexit/pci_mmap_resource_range")
int BPF_PROG(guard_mapped, struct pci_dev *pdev, int bar, struct vm_area_struct *vma,
             enum pci_mmap_state state, int write_combine, int error) {
    return error ? 0 : mapped(pdev, bar);
}

SEC("kprobe/security_bpf_map")
int BPF_KPROBE(kprobe_guard_map, struct bpf_map *map) {
    return took_map(map);
}

SEC("kprobe/security_bpf_prog")
int BPF_KPROBE(kprobe_guard_prog, struct bpf_prog *prog) {
    return took_program(prog);
}

SEC("kprobe/security_ptrace_access_check")
int BPF_KPROBE(kprobe_guard_trace, struct task_struct *child, unsigned int mode) {
    return asked_for_access(child, mode);
}

/* At its beginning: an attempt that fails (lockdown) is told too. */
SEC("kprobe/pci_mmap_resource_range")
int BPF_KPROBE(kprobe_guard_mapped, struct pci_dev *pdev, int bar) {
    return mapped(pdev, bar);
}

char _license[] SEC("license") = "GPL";
