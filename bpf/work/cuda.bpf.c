// SPDX-License-Identifier: GPL-2.0-only
/*
 * What processes ask of libcuda, counted by workload. The agent attaches this one program to each
 * of the library's functions that it counts, with what to count as the attachment's cookie.
 *
 *   call of a probed function -> breakpoint -> uprobe_notify_resume -> perf event -> here
 *                                                              (kernel/events/uprobes.c)
 */
#include "bpf/kernel.h"

#include "bpf/work/activity.h"

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, __u64); /* workload: cgroup v2 id */
    __type(value, struct work_cuda);
} cuda SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} lost SEC(".maps");

SEC("uprobe")
int called(struct pt_regs *ctx) {
    __u64 workload = current_workload();
    __u64 what = bpf_get_attach_cookie(ctx);
    struct work_cuda *counts = bpf_map_lookup_elem(&cuda, &workload);
    struct work_cuda fresh = {};
    __u32 only = 0;
    __u64 *losses;

    if (!counts) {
        bpf_map_update_elem(&cuda, &workload, &fresh, BPF_NOEXIST);
        counts = bpf_map_lookup_elem(&cuda, &workload);
    }
    if (!counts) {
        losses = bpf_map_lookup_elem(&lost, &only);
        if (losses)
            __sync_fetch_and_add(losses, 1);
        return 0;
    }
    note_activity(&counts->all, bpf_ktime_get_boot_ns());
    if (what < WORK_CUDA_CALLS)
        __sync_fetch_and_add(&counts->calls[what], 1);
    return 0;
}

char _license[] SEC("license") = "GPL";
