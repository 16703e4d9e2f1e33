/* SPDX-License-Identifier: GPL-2.0-only */
/* What the guard's hooks have in common, whatever they are attached by. */
#ifndef TALLY_GUARD_H
#define TALLY_GUARD_H

#include "bpf/count.h"

/* include/trace/events/signal.h */
#define TRACE_SIGNAL_IGNORED 1
/* include/linux/ptrace.h */
#define PTRACE_MODE_ATTACH 0x02

#define SIGNAL(number) (1ULL << (number))

/* include/uapi/asm-generic/signal.h */
enum signals {
    SIGINT = 2,
    SIGILL = 4,
    SIGTRAP = 5,
    SIGABRT = 6,
    SIGBUS = 7,
    SIGFPE = 8,
    SIGSEGV = 11,
    SIGPIPE = 13,
    SIGTERM = 15,
    SIGCHLD = 17,
    SIGCONT = 18,
    SIGSTOP = 19,
    SIGTSTP = 20,
    SIGTTIN = 21,
    SIGTTOU = 22,
    SIGURG = 23,
    SIGWINCH = 28,
    SIGSYS = 31,
};

/* Sent by the kernel for something that the agent did itself. */
static __always_inline int is_fault(int signal) {
    return (SIGNAL(signal) & (SIGNAL(SIGILL) | SIGNAL(SIGTRAP) | SIGNAL(SIGABRT) | SIGNAL(SIGBUS) |
                              SIGNAL(SIGFPE) | SIGNAL(SIGSEGV) | SIGNAL(SIGSYS))) != 0;
}

/* The agent blocks or ignores it, or is only stopped by it. */
static __always_inline int survives(int signal) {
    return (SIGNAL(signal) &
            (SIGNAL(SIGINT) | SIGNAL(SIGPIPE) | SIGNAL(SIGTERM) | SIGNAL(SIGCHLD) |
             SIGNAL(SIGCONT) | SIGNAL(SIGSTOP) | SIGNAL(SIGTSTP) | SIGNAL(SIGTTIN) |
             SIGNAL(SIGTTOU) | SIGNAL(SIGURG) | SIGNAL(SIGWINCH))) != 0;
}

static __always_inline int concerns_agent(struct wire_state *state, struct task_struct *task) {
    return state && state->agent && state->generation == generation &&
           (__u32)BPF_CORE_READ(task, tgid) == state->agent;
}

static __always_inline void tell_record(struct wire_guard *record) {
    if (bpf_ringbuf_output(&guards, record, sizeof(*record), 0) != 0)
        count_loss(WIRE_LOSS_GUARDS_FULL);
}

/* The same, after completing it with who does it. */
static __always_inline void tell_guard(struct wire_guard *record) {
    record->boottime_ns = bpf_ktime_get_boot_ns();
    record->workload = current_workload();
    record->tgid = bpf_get_current_pid_tgid() >> 32;
    bpf_get_current_comm(record->comm, sizeof(record->comm));
    tell_record(record);
}

/* Somebody else gets a descriptor of an object of ours. */
static __always_inline int took(enum wire_object_kind kind, __u32 id, const char *name) {
    struct wire_state *state = get_state();
    struct wire_object object = {.kind = kind, .id = id};
    struct wire_guard record = {.kind = WIRE_TOOK + kind, .number = id};

    if (!state || state->generation != generation ||
        bpf_get_current_pid_tgid() >> 32 == state->agent || !bpf_map_lookup_elem(&ours, &object))
        return 0;
    bpf_probe_read_kernel_str(record.name, sizeof(record.name), name);
    tell_guard(&record);
    return 0;
}

static __always_inline int took_map(struct bpf_map *map) {
    return took(WIRE_MAP, BPF_CORE_READ(map, id), map->name);
}

static __always_inline int took_program(struct bpf_prog *prog) {
    struct bpf_prog_aux *aux = BPF_CORE_READ(prog, aux);

    return took(WIRE_PROGRAM, BPF_CORE_READ(aux, id), aux->name);
}

/* Which object a BPF descriptor is on. Its kind is told by its file's operations, which the agent's
 * own descriptors teach us. Most of a machine's files end here: no helper calls. */
static __always_inline int is_object(struct wire_state *state, struct file *file,
                                     struct wire_object *object) {
    __u64 operations = (__u64)file->f_op;

    if (operations == state->operations[WIRE_MAP])
        object->kind = WIRE_MAP;
    else if (operations == state->operations[WIRE_PROGRAM])
        object->kind = WIRE_PROGRAM;
    else if (operations == state->operations[WIRE_LINK])
        object->kind = WIRE_LINK;
    else
        return 0;
    return 1;
}

static __always_inline __u32 object_id(struct file *file, __u32 kind) {
    void *object = file->private_data;

    if (kind == WIRE_MAP)
        return BPF_CORE_READ((struct bpf_map *)object, id);
    if (kind == WIRE_PROGRAM)
        return BPF_CORE_READ((struct bpf_prog *)object, aux, id);
    return BPF_CORE_READ((struct bpf_link *)object, id);
}

static __always_inline void learn_operations(struct wire_state *state, struct file *file,
                                             __u32 fd) {
    for (int kind = 0; kind < WIRE_OBJECT_KINDS; kind++) {
        if (fd == state->own[kind])
            state->operations[kind] = (__u64)file->f_op;
    }
}

/* A scan saw a descriptor that is no device file. Whoever keeps one of our objects is told when it
 * is new, or was not seen for a while. */
#define SEEN_LONG_AGO 10000000000ULL /* ns */

static __always_inline void note_descriptor(struct task_struct *task, struct file *file, __u32 fd) {
    struct wire_state *state = get_state();
    struct wire_foreign holder = {};
    struct wire_guard record = {};
    __u64 now, *seen;

    if (!state)
        return;
    if ((!state->operations[WIRE_MAP] || !state->operations[WIRE_PROGRAM] ||
         !state->operations[WIRE_LINK]) &&
        (__u32)task->tgid == state->agent)
        learn_operations(state, file, fd);
    if (!is_object(state, file, &holder.object) || (__u32)task->tgid == state->agent)
        return;
    holder.tgid = task->tgid;
    holder.object.id = object_id(file, holder.object.kind);
    if (!bpf_map_lookup_elem(&ours, &holder.object))
        return;
    now = bpf_ktime_get_boot_ns();
    seen = bpf_map_lookup_elem(&foreign, &holder);
    if (!seen || now - *seen > SEEN_LONG_AGO) {
        record.boottime_ns = now;
        record.workload = task_workload(task);
        record.kind = WIRE_TOOK + holder.object.kind;
        record.number = holder.object.id;
        record.tgid = holder.tgid;
        BPF_CORE_READ_STR_INTO(&record.comm, task, group_leader, comm);
        tell_record(&record);
    }
    bpf_map_update_elem(&foreign, &holder, &now, BPF_ANY);
}

static __always_inline int asked_for_access(struct task_struct *child, unsigned int mode) {
    struct wire_guard record = {.kind = WIRE_TRACED, .number = mode};

    if ((mode & PTRACE_MODE_ATTACH) && concerns_agent(get_state(), child))
        tell_guard(&record);
    return 0;
}

/* Of any PCI function; the agent knows which ones are watched. */
static __always_inline int mapped(struct pci_dev *pdev, int bar) {
    struct wire_state *state = get_state();
    struct wire_guard record = {.kind = WIRE_MAPPED, .number = bar};

    if (!state || state->generation != generation)
        return 0;
    bpf_probe_read_kernel_str(record.name, sizeof(record.name), BPF_CORE_READ(pdev, dev.kobj.name));
    tell_guard(&record);
    return 0;
}

#endif
