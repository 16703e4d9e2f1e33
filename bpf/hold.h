/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A hold's entries in the maps: how they are made, and how they end. Who has a file when is
 * count.h's to say.
 */
#ifndef TALLY_HOLD_H
#define TALLY_HOLD_H

#include "bpf/maps.h"

/* While one agent's programs take over from another's, both are attached: these count if the state
 * names their number. */
const volatile __u32 generation __weak = 0;

static __always_inline struct wire_state *get_state(void) {
    __u32 only = 0;

    return bpf_map_lookup_elem(&state, &only);
}

static __always_inline void count_loss(__u32 place) {
    __u64 *count = bpf_map_lookup_elem(&losses, &place);

    if (count)
        *count += 1; /* per CPU */
}

static __always_inline void note_canary(struct wire_state *state, __u32 what) {
    if (what < WIRE_CANARIES)
        __sync_fetch_and_add(&state->canary[what], 1);
}

static __always_inline void tell(__u32 kind, __u64 workload, __u32 device, __u64 now) {
    struct wire_edge edge = {
        .boottime_ns = now, .workload = workload, .device = device, .kind = kind};

    if (bpf_ringbuf_output(&edges, &edge, sizeof(edge), 0) != 0)
        count_loss(WIRE_LOSS_EDGES_FULL);
}

static __always_inline void describe(struct wire_opener *opener, struct task_struct *task) {
    struct file *executable = task_executable(task);
    const unsigned char *name;

    opener->inode = 0;
    opener->device = 0;
    opener->user = task_user(task);
    __builtin_memset(opener->executable, 0, sizeof(opener->executable));
    if (!executable)
        return;
    opener->inode = BPF_CORE_READ(executable, f_inode, i_ino);
    opener->device = BPF_CORE_READ(executable, f_inode, i_sb, s_dev);
    name = BPF_CORE_READ(executable, f_path.dentry, d_name.name);
    bpf_probe_read_kernel_str(opener->executable, sizeof(opener->executable), name);
}

/* Once for each (workload, device): out of the way of everything that happens often. */
static __noinline void tell_newcomer(__u64 workload, __u32 device, struct task_struct *task,
                                     __u64 now) {
    struct wire_newcomer *newcomer = bpf_ringbuf_reserve(&edges, sizeof(*newcomer), 0);

    if (!newcomer) {
        count_loss(WIRE_LOSS_EDGES_FULL);
        return;
    }
    newcomer->edge.boottime_ns = now;
    newcomer->edge.workload = workload;
    newcomer->edge.device = device;
    newcomer->edge.kind = WIRE_WORKLOAD_NEW;
    describe(&newcomer->opener, task);
    bpf_ringbuf_submit(newcomer, 0);
}

/* A workload's fresh entry is told, so that it is named while it is there, and with it `task`,
 * whose the file is. */
static __noinline struct wire_usage *usage_of(__u64 workload, __u32 device,
                                              struct task_struct *task, __u64 now) {
    struct wire_usage_key key = {.workload = workload, .device = device};
    struct wire_usage *found = bpf_map_lookup_elem(&usage, &key);
    struct wire_usage fresh = {};

    if (found)
        return found;
    if (bpf_map_update_elem(&usage, &key, &fresh, BPF_NOEXIST) == 0 && workload != WIRE_ANYBODY)
        tell_newcomer(workload, device, task, now);
    return bpf_map_lookup_elem(&usage, &key);
}

/* Whether it is the first. */
static __always_inline int begin_one(struct wire_usage *total, __u64 now) {
    if (now > total->last_begin_ns)
        total->last_begin_ns = now; /* before it counts: see end_one */
    if (__sync_fetch_and_add(&total->open_files, 1) != 0)
        return 0;
    __sync_fetch_and_add(&total->held_ns, -now);
    return 1;
}

/* Whether it was the last. */
static __always_inline int end_one(struct wire_usage *total, __u64 at) {
    __u64 last = total->last_end_ns;
    __u64 begin;
    int was_last;

    __sync_fetch_and_add(&total->releases, 1);
    if (at > last) /* another CPU may have been first; then its end is as late as ours */
        __sync_val_compare_and_swap(&total->last_end_ns, last, at);
    was_last = __sync_fetch_and_sub(&total->open_files, 1) == 1;
    begin = total->last_begin_ns;
    if (begin > at)
        __sync_fetch_and_add(&total->late_ns, begin - at);
    if (was_last)
        __sync_fetch_and_add(&total->held_ns, total->last_end_ns);
    return was_last;
}

static __always_inline struct wire_file *file_entry(__u64 file, __u64 workload, __u32 device) {
    struct wire_file *found = bpf_map_lookup_elem(&files, &file);
    struct wire_file fresh = {.device = device, .first = workload};

    if (found)
        return found;
    bpf_map_update_elem(&files, &file, &fresh, BPF_NOEXIST);
    return bpf_map_lookup_elem(&files, &file);
}

/* The workload no longer has the file, since `at`. Counts once, whoever else ends the same hold. */
static __always_inline void end_hold(struct wire_state *state, const struct wire_holder_key *key,
                                     __u32 device, __u64 at) {
    struct wire_usage_key usage_key = {.workload = key->workload, .device = device};
    struct wire_usage *total;
    struct wire_file *shared;

    if (bpf_map_delete_elem(&holders, key) != 0)
        return;
    __sync_fetch_and_sub(&state->holder_count, 1);
    state->found_again |= 1ULL << 63; /* it may be among them: no telling by numbers any more */
    shared = bpf_map_lookup_elem(&files, &key->file);
    if (shared)
        __sync_fetch_and_sub(&shared->holders, 1);
    total = bpf_map_lookup_elem(&usage, &usage_key);
    if (!total)
        return;
    if (!end_one(total, at))
        return;
    at = total->last_end_ns; /* the workload's */
    usage_key.workload = WIRE_ANYBODY;
    total = bpf_map_lookup_elem(&usage, &usage_key);
    if (total)
        end_one(total, at);
}

struct one_file {
    __u64 file;
    __u64 at;
    __u64 but; /* a workload to leave out */
    __u64 last_leaver;
    __u32 all_left;
};

/* When a holder that no longer has the file lost it, as far as is known; 0: it is not. */
static __always_inline __u64 end_of(const struct wire_holder *holder) {
    return holder->flown_ns ? holder->flown_ns : holder->left_ns;
}

/* Who let go of it last had it until the end; whoever did before, until then. */
static __always_inline __u64 end_at_release(const struct wire_holder *holder, __u64 workload,
                                            const struct one_file *gone) {
    __u64 end = end_of(holder);

    return end && workload != gone->last_leaver ? end : gone->at;
}

static long end_if_of_file(struct bpf_map *map, struct wire_holder_key *key,
                           struct wire_holder *holder, struct one_file *gone) {
    struct wire_holder_key ending = *key;
    struct wire_state *state = get_state();
    __u64 at = end_at_release(holder, ending.workload, gone);

    if (state && ending.file == gone->file)
        end_hold(state, &ending, holder->device, at);
    return 0;
}

/* The file is gone. */
static __noinline void release_file(__u64 file, __u64 at) {
    struct wire_file *shared = bpf_map_lookup_elem(&files, &file);
    struct wire_state *state = get_state();
    struct wire_holder_key key = {.file = file};
    struct one_file gone = {.file = file, .at = at};
    struct wire_holder *holder;

    if (!shared || !state)
        return;
    gone.last_leaver = shared->last_leaver;
    key.workload = shared->first;
    holder = bpf_map_lookup_elem(&holders, &key);
    if (holder)
        end_hold(state, &key, shared->device, end_at_release(holder, key.workload, &gone));
    if (shared->holders > 0)
        bpf_for_each_map_elem(&holders, end_if_of_file, &gone, 0);
    bpf_map_delete_elem(&files, &file);
    if (bpf_map_delete_elem(&leaving, &file) == 0)
        __sync_fetch_and_sub(&state->leaving, 1);
}

#endif
