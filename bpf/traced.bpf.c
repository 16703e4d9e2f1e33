// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rung traced: the descriptor that an open system call returned.
 *
 *   do_syscall_64 -> syscall_exit_to_user_mode_work -> trace_sys_exit -> perf_syscall_exit
 *   (kernel/trace/trace_syscalls.c)
 *
 * The file is installed in the table by then. One tracepoint per system call, not the one for all
 * of them: other system calls do not run a program of ours, but all of the machine's get slower,
 * for the kernel then takes each through its slow path. An ordinary file is told apart by its
 * inode's type, before any map is touched.
 */
#include "bpf/count.h"

static __always_inline int opened(long descriptor) {
    struct task_struct *task = bpf_get_current_task_btf();
    struct file **table, *file = NULL;
    __u32 number, *device;

    if (descriptor < 0)
        return 0;
    table = BPF_CORE_READ(task, files, fdt, fd);
    if (bpf_probe_read_kernel(&file, sizeof(file), table + descriptor) != 0) {
        count_loss(WIRE_LOSS_UNREADABLE);
        return 0;
    }
    if (!file) /* closed by another thread before we looked */
        return 0;
    number = file_device_number(file);
    if (!number)
        return 0;
    device = bpf_map_lookup_elem(&devices, &number);
    if (device)
        hold_file(file, task, task_workload(task), *device, SEEN_OPENING);
    return 0;
}

SEC("tracepoint/syscalls/sys_exit_openat")
int opened_openat(struct trace_event_raw_sys_exit *ctx) {
    return opened(ctx->ret);
}

SEC("tracepoint/syscalls/sys_exit_openat2")
int opened_openat2(struct trace_event_raw_sys_exit *ctx) {
    return opened(ctx->ret);
}

SEC("tracepoint/syscalls/sys_exit_open")
int opened_open(struct trace_event_raw_sys_exit *ctx) {
    return opened(ctx->ret);
}

SEC("tracepoint/syscalls/sys_exit_creat")
int opened_creat(struct trace_event_raw_sys_exit *ctx) {
    return opened(ctx->ret);
}

SEC("tracepoint/syscalls/sys_exit_open_by_handle_at")
int opened_by_handle(struct trace_event_raw_sys_exit *ctx) {
    return opened(ctx->ret);
}

char _license[] SEC("license") = "GPL";
