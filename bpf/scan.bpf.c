// SPDX-License-Identifier: GPL-2.0-only
/*
 * The scan, which every rung has: every descriptor of every task (kernel/bpf/task_iter.c,
 * task_file_seq_next). The agent writes scan_number and reads the iterator to its end; the last
 * call has no task (task_file_seq_stop).
 */
#include "bpf/guard.h"

/* False: the reader's buffer is full, and the kernel will come by this descriptor once more
 * (kernel/bpf/bpf_iter.c, bpf_seq_read). */
static __always_inline bool write_holding(struct bpf_iter__task_file *ctx, struct task_struct *task,
                                          __u64 workload, __u32 device) {
    struct wire_state *state = get_state();
    struct wire_holding holding = {
        .workload = workload, .process = task->tgid, .fd = ctx->fd, .device = device};

    if (!state || !state->wants_holdings || device == WIRE_CANARY)
        return true;
    return bpf_seq_write(ctx->meta->seq, &holding, sizeof(holding)) == 0;
}

SEC("iter/task_file")
int scan(struct bpf_iter__task_file *ctx) {
    struct task_struct *task = ctx->task;
    struct file *file = ctx->file;
    __u32 number, *device;
    __u64 workload;

    if (!task || !file) {
        sweep();
        return 0;
    }
    number = known_file_device_number(file);
    if (!number) {
        note_descriptor(task, file, ctx->fd);
        return 0;
    }
    device = bpf_map_lookup_elem(&devices, &number);
    if (!device)
        return 0;
    workload = known_task_workload(task);
    if (!write_holding(ctx, task, workload, *device))
        return 0;
    if (!found_again(file, workload, *device))
        hold_file(file, task, workload, *device, FOUND_OPEN);
    return 0;
}

char _license[] SEC("license") = "GPL";
