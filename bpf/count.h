/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The accounting. Every rung of the ladder attaches its own hooks and calls these; none counts by
 * itself. There is no lock, because bpf_spin_lock is refused in some program types: each edge adds
 * to its entry atomically, and the sum is right in whatever order the edges arrive (see
 * wire_usage).
 *
 *   hold_file     a workload has the file in a descriptor table (opened, received, found)
 *   leave_file    a descriptor table let go of the file
 *   take_along    a process that has the file leaves the workload
 *   release_file  the file is gone, whoever had it
 *   sweep         after a scan: whoever was not seen to have it
 *
 * Whether a workload that lets go of one descriptor has another on the same file, only a scan can
 * tell. While no other workload has the file that does not matter: the hold goes on until the final
 * release. Otherwise the time is noted, and becomes the end of the hold if the scan agrees.
 */
#ifndef TALLY_COUNT_H
#define TALLY_COUNT_H

#include "bpf/hold.h"

enum evidence {
    SEEN_OPENING = WIRE_CANARY_OPENED,
    SEEN_RECEIVING = WIRE_CANARY_RECEIVED, /* passed */
    FOUND_OPEN = WIRE_CANARY_FOUND,        /* by a scan */
    SEEN_COMING = WIRE_CANARIES,           /* with a process that was moved here, or born */
};

static long note_whether_left(struct bpf_map *map, struct wire_holder_key *key,
                              struct wire_holder *holder, struct one_file *passed) {
    if (key->file == passed->file && key->workload != passed->but && !holder->left_ns)
        passed->all_left = 0;
    return 0;
}

/* Another workload received the file. If all others had let go of it, then it was in flight until
 * now, and until now it was the last one's. */
static __noinline void note_passed(__u64 file, __u64 to, __u64 now) {
    struct wire_file *shared = bpf_map_lookup_elem(&files, &file);
    struct one_file passed = {.file = file, .but = to, .all_left = 1};
    struct wire_holder_key key = {.file = file};
    struct wire_holder *last;

    if (!shared)
        return;
    bpf_for_each_map_elem(&holders, note_whether_left, &passed, 0);
    if (!passed.all_left)
        return;
    key.workload = shared->last_leaver;
    last = key.workload != to ? bpf_map_lookup_elem(&holders, &key) : NULL;
    if (!last)
        return;
    shared->flown_ns = last->flown_ns = now;
    tell(WIRE_SHARED_LEFT, key.workload, last->device, now);
}

static long forget_flight(struct bpf_map *map, struct wire_holder_key *key,
                          struct wire_holder *holder, struct one_file *kept) {
    if (key->file == kept->file && holder->flown_ns >= kept->at)
        holder->flown_ns = 0;
    return 0;
}

/* A workload that seemed to have let go of the file at left_ns had it all along: what seemed to be
 * in flight since then was not. */
static __noinline void note_kept(__u64 file, __u64 left_ns) {
    struct wire_file *shared = bpf_map_lookup_elem(&files, &file);
    struct one_file kept = {.file = file, .at = left_ns};

    if (!shared || !left_ns || shared->flown_ns < left_ns)
        return;
    bpf_for_each_map_elem(&holders, forget_flight, &kept, 0);
}

/* A scan finds what the last one found: all that there is to do on a rung that knows of ends by
 * scans alone, where it is most of a scan's work. */
static __always_inline int found_again(struct file *file, __u64 workload, __u32 device) {
    struct wire_holder_key key = {.file = (__u64)file, .workload = workload};
    struct wire_state *state = get_state();
    struct wire_holder *known;

    if (!state || state->follows_release || state->generation != generation)
        return 0;
    known = bpf_map_lookup_elem(&holders, &key);
    if (!known || known->device != device)
        return 0;
    if (known->seen != state->scan_number) { /* by its first descriptor */
        known->seen = state->scan_number;
        state->found_again++; /* one scan at a time, and nobody else here */
    }
    return 1;
}

/* A scan on another CPU found a file while its opening was being counted: so what it found counts
 * as over, as if it had been found earlier. */
static __always_inline void found_before_opened(struct wire_usage *total) {
    __sync_fetch_and_add(&total->releases, 1);
}

/* A workload has `file`, an open file on `device`, in the descriptor table of `task`. Harmless if
 * known already. */
static __noinline void hold_file(struct file *file, struct task_struct *task, __u64 workload,
                                 __u32 device, enum evidence evidence) {
    struct wire_state *state = get_state();
    struct wire_holder_key key = {.file = (__u64)file, .workload = workload};
    struct wire_usage_key usage_key = {.workload = workload, .device = device};
    struct wire_holder fresh = {.device = device};
    struct wire_holder *known;
    struct wire_usage *total, *anybody;
    struct wire_file *shared;
    __u64 now;

    if (!state || state->generation != generation)
        return;
    if (device == WIRE_CANARY) {
        note_canary(state, evidence);
        return;
    }
    now = bpf_ktime_get_boot_ns();
    shared = bpf_map_lookup_elem(&files, &key.file);
    /* What is known of this address was another file's, whose end went unseen. */
    if (shared && (evidence == SEEN_OPENING || shared->device != device))
        release_file(key.file, now);

    known = bpf_map_lookup_elem(&holders, &key);
    if (known) {
        known->seen = state->scan_number;
        known->missed = 0;
        if (evidence != FOUND_OPEN || known->left_ns < state->scan_number) {
            if (evidence == FOUND_OPEN)
                note_kept(key.file, known->left_ns);
            else if (evidence == SEEN_RECEIVING && known->left_ns)
                note_passed(key.file, workload, now); /* not settled yet, and here again */
            known->left_ns = known->flown_ns = 0;
        }
        shared = bpf_map_lookup_elem(&files, &key.file);
        if (shared)
            shared->seen = state->scan_number;
        total = evidence == SEEN_OPENING ? bpf_map_lookup_elem(&usage, &usage_key) : NULL;
        if (total) {
            __sync_fetch_and_add(&total->opens, 1);
            found_before_opened(total);
        }
        return;
    }

    /* Both or neither: what counts as held by somebody counts as held. */
    anybody = usage_of(WIRE_ANYBODY, device, task, now);
    total = anybody ? usage_of(workload, device, task, now) : NULL;
    if (!total) {
        count_loss(WIRE_LOSS_USAGE_FULL);
        return;
    }
    if (evidence == SEEN_OPENING)
        __sync_fetch_and_add(&total->opens, 1);
    shared = file_entry(key.file, workload, device);
    /* Before it counts as seen: a sweep on another CPU takes who let go of it for done then. A file
     * that nobody ever let go of was not in flight. */
    if (shared && shared->holders > 0 && evidence == SEEN_RECEIVING && shared->last_leaver)
        note_passed(key.file, workload, now);
    barrier();
    fresh.seen = state->scan_number;
    if (!shared || bpf_map_update_elem(&holders, &key, &fresh, BPF_NOEXIST) != 0) {
        /* Another CPU was first (its edge counts), or there is no room. */
        if (!bpf_map_lookup_elem(&holders, &key)) {
            count_loss(WIRE_LOSS_HOLDERS_FULL);
            __sync_fetch_and_add(&total->untracked, 1);
            if (shared && shared->holders == 0)
                bpf_map_delete_elem(&files, &key.file);
            else if (shared) /* whoever let go of it does not keep it for want of another */
                shared->seen = state->scan_number;
        } else if (evidence == SEEN_OPENING) {
            found_before_opened(total);
        }
        return;
    }
    shared->seen = state->scan_number;
    __sync_fetch_and_add(&state->holder_count, 1);
    if (evidence != SEEN_OPENING)
        __sync_fetch_and_add(&total->found, 1);
    if (begin_one(total, now)) {
        __sync_fetch_and_add(&anybody->found, 1);
        begin_one(anybody, now);
    }
    __sync_fetch_and_add(&shared->holders, 1);
}

/* The same of the process that we run in. */
static __always_inline void hold_current(struct file *file, __u32 device, enum evidence evidence) {
    struct task_struct *task = bpf_get_current_task_btf();

    hold_file(file, task, task_workload(task), device, evidence);
}

/* A process that has the file in its table leaves the workload. */
static __noinline void take_along(struct file *file, __u64 workload, __u32 device) {
    struct wire_state *state = get_state();
    struct wire_holder_key key = {.file = (__u64)file, .workload = workload};
    struct wire_holder *holder = bpf_map_lookup_elem(&holders, &key);
    __u64 now = bpf_ktime_get_boot_ns();

    if (!holder || !state || state->generation != generation)
        return;
    note_kept(key.file, holder->left_ns);
    holder->left_ns = now;
    tell(WIRE_SHARED_LEFT, workload, device, now);
}

/* A descriptor table of the workload's let go of the file: one that is on a watched device. */
static __noinline void leave_file(struct file *file, __u64 workload, __u32 device) {
    struct wire_state *state = get_state();
    struct wire_holder_key key = {.file = (__u64)file, .workload = workload};
    struct wire_holder *holder;
    struct wire_file *shared;
    __u32 none = 0;
    __u64 now;

    if (!state || state->generation != generation)
        return;
    if (device == WIRE_CANARY) {
        note_canary(state, WIRE_CANARY_LEFT);
        return;
    }
    now = bpf_ktime_get_boot_ns();
    shared = bpf_map_lookup_elem(&files, &key.file);
    if (!shared)
        return;
    shared->last_leaver = workload;
    if (file_references(file) <= 1) { /* the table's own was the last */
        release_file(key.file, now);
        return;
    }
    holder = bpf_map_lookup_elem(&holders, &key);
    if (holder) {
        note_kept(key.file, holder->left_ns);
        holder->left_ns = now;
    }
    if (shared->holders > 1)
        tell(WIRE_SHARED_LEFT, workload, device, now);
    if (bpf_map_update_elem(&leaving, &key.file, &none, BPF_NOEXIST) == 0)
        __sync_fetch_and_add(&state->leaving, 1);
}

static long release_if_dying(struct bpf_map *map, __u64 *file, __u32 *unused, __u64 *now) {
    __u64 address = *file;

    if (file_references((struct file *)address) <= 0)
        release_file(address, *now);
    return 0;
}

/* A device file is being released: if its last table let go of it earlier, it is one of `leaving`.
 */
static __always_inline void release_dying(void) {
    struct wire_state *state = get_state();
    __u64 now;

    if (!state || state->generation != generation)
        return;
    if (state->canary_out)
        note_canary(state, WIRE_CANARY_RELEASED);
    if (state->leaving == 0)
        return;
    now = bpf_ktime_get_boot_ns();
    bpf_for_each_map_elem(&leaving, release_if_dying, &now, 0);
}

/* Whether what is known of this address is still a file on this device. */
static __always_inline int file_lives(__u64 address, __u32 device) {
    struct file *file = (void *)address;
    __u32 number = file_device_number(file), *found;

    found = bpf_map_lookup_elem(&devices, &number);
    return found && *found == device && file_references(file) > 0;
}

/* Whoever was not seen no longer has the file. Deleting the current entry is safe. */
static long sweep_one(struct bpf_map *map, struct wire_holder_key *key, struct wire_holder *holder,
                      void *unused) {
    struct wire_state *state = get_state();
    struct wire_holder_key gone = *key;
    __u64 at = 0;
    __u32 device = holder->device;
    struct wire_file *shared;

    if (!state || holder->seen == state->scan_number)
        return 0;
    /* Where descriptors are seen to go, one that was not is on its way into the table still: the
     * hooks come before it is there. So it is, once. */
    if (state->follows_release && !holder->left_ns && !holder->missed) {
        holder->missed = 1;
        return 0;
    }
    shared = bpf_map_lookup_elem(&files, &gone.file);
    /* In nobody's table, and not gone: in flight in a socket, or mapped. It stays with whoever let
     * go of it last, until somebody receives it or the last reference goes. */
    if (state->follows_release && shared && shared->seen != state->scan_number &&
        (shared->holders == 1 || shared->last_leaver == gone.workload) &&
        file_lives(gone.file, device))
        return 0;
    barrier(); /* see hold_file: who made it seen has noted before until when it was in flight */
    /* A rung that does not see descriptors go knows of a passed file only that it was passed: its
     * workload may have had it since. Late, never early. */
    if (state->follows_release)
        at = end_of(holder);
    end_hold(state, &gone, device, at ? at : bpf_ktime_get_boot_ns());
    if (!shared || shared->holders > 0)
        return 0;
    bpf_map_delete_elem(&files, &gone.file);
    if (bpf_map_delete_elem(&leaving, &gone.file) == 0)
        __sync_fetch_and_sub(&state->leaving, 1);
    return 0;
}

/* End of a scan. If it found again as many holders as there are, it found each; one that came in
 * the meantime is there but was not found again. */
static __always_inline void sweep(void) {
    struct wire_state *state = get_state();

    if (state && state->found_again != state->holder_count)
        bpf_for_each_map_elem(&holders, sweep_one, NULL, 0);
}

#endif
