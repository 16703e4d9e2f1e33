// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptor tables that change their workload as a whole: a process moved to another cgroup, and
 * one born in another. Rare, so the whole table is walked. Tracepoints, for every rung but scanned;
 * the exact ones also see where a process comes from.
 */
#include "bpf/count.h"

/* Longer tables are left to the next scan, and said so. */
#define LONGEST_TABLE (1 << 16)

struct walk {
    struct file **table;
    struct task_struct *task;
    __u64 workload;
    int leaving;
};

static long walk_slot(__u32 slot, struct walk *walk) {
    struct file *file = NULL;
    __u32 number, *device;

    bpf_probe_read_kernel(&file, sizeof(file), walk->table + slot);
    if (!file)
        return 0;
    number = file_device_number(file);
    if (!number)
        return 0;
    device = bpf_map_lookup_elem(&devices, &number);
    if (device && walk->leaving)
        take_along(file, walk->workload, *device);
    else if (device)
        hold_file(file, walk->task, walk->workload, *device, SEEN_COMING);
    return 0;
}

static __always_inline void walk_table(struct task_struct *task, __u64 workload, int leaving) {
    struct wire_state *state = get_state();
    struct fdtable *fdt = BPF_CORE_READ(task, files, fdt);
    struct walk walk = {.task = task, .workload = workload, .leaving = leaving};
    __u32 slots;

    /* Whatever a table can bring is held by somebody already. */
    if (!fdt || !state || state->holder_count == 0)
        return;
    walk.table = BPF_CORE_READ(fdt, fd);
    slots = BPF_CORE_READ(fdt, max_fds);
    if (slots > LONGEST_TABLE) {
        slots = LONGEST_TABLE;
        count_loss(WIRE_LOSS_TABLE_LONG);
    }
    bpf_loop(slots, walk_slot, &walk, 0);
}

/* cgroup_attach_task -> TRACE_CGROUP_PATH(attach_task, ...) (kernel/cgroup/cgroup.c), when the task
 * is in its new cgroup. Also for v1 hierarchies, whose cgroups are no workloads. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(moved, struct cgroup *to, const char *path, struct task_struct *task) {
    __u64 workload = task_workload(task);

    if (BPF_CORE_READ(to, kn, id) == workload)
        walk_table(task, workload, 0);
    return 0;
}

/* The same on its way in, when the task still is where it comes from: which workload that is, the
 * tracepoint does not say. */
static __always_inline int moving(struct cgroup *to, struct task_struct *task) {
    __u64 workload = task_workload(task);

    if (BPF_CORE_READ(to, root, hierarchy_id) == 0 && BPF_CORE_READ(to, kn, id) != workload)
        walk_table(task, workload, 1);
    return 0;
}

SEC("fentry/cgroup_attach_task")
int BPF_PROG(exact_moving, struct cgroup *to, struct task_struct *task) {
    return moving(to, task);
}

SEC("kprobe/cgroup_attach_task")
int BPF_KPROBE(kprobe_moving, struct cgroup *to, struct task_struct *task) {
    return moving(to, task);
}

/* kernel_clone -> trace_sched_process_fork (kernel/fork.c); clone3(2) with CLONE_INTO_CGROUP. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(born, struct task_struct *parent, struct task_struct *child) {
    __u64 workload;

    if (BPF_CORE_READ(parent, cgroups) == BPF_CORE_READ(child, cgroups))
        return 0;
    workload = task_workload(child);
    if (workload != task_workload(parent))
        walk_table(child, workload, 0);
    return 0;
}

char _license[] SEC("license") = "GPL";
