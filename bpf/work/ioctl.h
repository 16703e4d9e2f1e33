/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The return of ioctl(2), on each rung of the ladder.
 *
 *   do_syscall_64 -> __x64_sys_ioctl -> vfs_ioctl -> the driver       (fs/ioctl.c)
 *
 * Neither driver looks at the command's magic byte (see is_ours), so we do not either. The file is
 * looked up by its descriptor after the call: a process that replaces the descriptor during the
 * call hides it, as one hides what it asked for by changing the structure before we read it.
 */
#ifndef TALLY_WORK_IOCTL_H
#define TALLY_WORK_IOCTL_H

#include "bpf/work/able.h"

/* include/uapi/asm-generic/ioctl.h */
#define IOCTL_NUMBER(command) ((command)&0xff)
#define IOCTL_SIZE(command) ((command) >> 16 & 0x3fff)

/* Whoever includes this defines:
 * whether the command's number is one to look at, asked of every ioctl of the machine; */
static __always_inline int is_ours(__u32 command);
/* what the driver answered on its control file. */
static __noinline int asked(__u32 command, __u64 argument, long result);

/* The device number of the driver's control file, as in wire.h. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} control SEC(".maps");

/* Rung kprobe: what a thread asks, for a return probe no longer has it. What stays here after its
 * thread ended makes room by itself. */
struct ioctl_question {
    __u64 argument;
    __u32 command;
    __u32 zero;
};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 4096);
    __type(key, __u32); /* thread */
    __type(value, struct ioctl_question);
} asking SEC(".maps");

static __always_inline int is_control(__u32 descriptor) {
    struct task_struct *task = bpf_get_current_task_btf();
    struct fdtable *table = BPF_CORE_READ(task, files, fdt);
    struct file **files = BPF_CORE_READ(table, fd), *file = NULL;
    __u32 only = 0, *number = bpf_map_lookup_elem(&control, &only);

    if (descriptor >= BPF_CORE_READ(table, max_fds))
        return 0;
    bpf_probe_read_kernel(&file, sizeof(file), files + descriptor);
    return file && number && file_device_number(file) == *number;
}

static __always_inline int answered(__u32 descriptor, __u32 command, __u64 argument, long result) {
    if (is_ours(command) && is_control(descriptor))
        asked(command, argument, result);
    return 0;
}

SEC("fexit/__x64_sys_ioctl")
int BPF_PROG(exact_ioctl, const struct pt_regs *regs, long result) {
    return answered(regs->di, regs->si, regs->dx, result);
}

/* A 32-bit process, or whoever calls as one (int 0x80). */
SEC("fexit/__ia32_compat_sys_ioctl")
int BPF_PROG(exact_ioctl32, const struct pt_regs *regs, long result) {
    return answered(regs->bx, regs->cx, (__u32)regs->dx, result);
}

static __always_inline int question(__u32 descriptor, __u32 command, __u64 argument) {
    struct ioctl_question fresh = {.argument = argument, .command = command};
    __u32 thread = bpf_get_current_pid_tgid();
    struct work_able_key owner;

    if (!is_ours(command) || !is_control(descriptor))
        return 0;
    if (bpf_map_lookup_elem(&asking, &thread)) { /* all return probes were in use, for example */
        owner = current_owner(0);
        count_able(&owner, WORK_ABLE_UNREAD);
    }
    bpf_map_update_elem(&asking, &thread, &fresh, BPF_ANY);
    return 0;
}

SEC("kprobe/__x64_sys_ioctl")
int BPF_KPROBE(kprobe_asking, struct pt_regs *regs) {
    return question(BPF_CORE_READ(regs, di), BPF_CORE_READ(regs, si), BPF_CORE_READ(regs, dx));
}

SEC("kprobe/__ia32_compat_sys_ioctl")
int BPF_KPROBE(kprobe_asking32, struct pt_regs *regs) {
    return question(BPF_CORE_READ(regs, bx), BPF_CORE_READ(regs, cx),
                    (__u32)BPF_CORE_READ(regs, dx));
}

static __always_inline int answer(long result) {
    __u32 thread = bpf_get_current_pid_tgid();
    struct ioctl_question *question = bpf_map_lookup_elem(&asking, &thread), asked_for;

    if (!question)
        return 0;
    asked_for = *question;
    bpf_map_delete_elem(&asking, &thread);
    asked(asked_for.command, asked_for.argument, result);
    return 0;
}

SEC("kretprobe/__x64_sys_ioctl")
int BPF_KRETPROBE(kprobe_ioctl, long result) {
    return answer(result);
}

SEC("kretprobe/__ia32_compat_sys_ioctl")
int BPF_KRETPROBE(kprobe_ioctl32, long result) {
    return answer(result);
}

/* The registers on the task's stack are those that it called with: x86 keeps them over a system
 * call. A 32-bit call does not come by here (trace_get_syscall_nr). */
SEC("tracepoint/syscalls/sys_exit_ioctl")
int traced_ioctl(struct trace_event_raw_sys_exit *ctx) {
    struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());

    return answered(BPF_CORE_READ(regs, di), BPF_CORE_READ(regs, si), BPF_CORE_READ(regs, dx),
                    ctx->ret);
}

#endif
