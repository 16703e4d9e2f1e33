/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The accounting. Every rung of the ladder attaches its own hooks and calls these; none counts by
 * itself. There is no lock, because bpf_spin_lock is refused in some program types: each edge adds
 * to its entry atomically, and the sum is right in whatever order the edges arrive (see
 * wire_usage).
 */
#ifndef TALLY_COUNT_H
#define TALLY_COUNT_H

#include "bpf/maps.h"

enum evidence { SEEN_OPENING, FOUND_OPEN };

static __always_inline void count_loss(__u32 place) {
    __u64 *count = bpf_map_lookup_elem(&losses, &place);

    if (count)
        *count += 1; /* per CPU */
}

static __always_inline struct wire_usage *usage_of(const struct wire_usage_key *key) {
    struct wire_usage *found = bpf_map_lookup_elem(&usage, key);
    struct wire_usage fresh = {};

    if (found)
        return found;
    bpf_map_update_elem(&usage, key, &fresh, BPF_NOEXIST);
    return bpf_map_lookup_elem(&usage, key);
}

/* The workload no longer has the file. Counts once, whoever else is releasing it. */
static __always_inline void release_file(const struct wire_holder_key *holder_key, __u32 device) {
    struct wire_usage_key usage_key = {.workload = holder_key->workload, .device = device};
    struct wire_usage *total;

    if (bpf_map_delete_elem(&holders, holder_key) != 0)
        return;
    __sync_fetch_and_sub(&holder_count, 1);
    total = bpf_map_lookup_elem(&usage, &usage_key);
    if (!total)
        return;
    __sync_fetch_and_add(&total->releases, 1);
    if (__sync_fetch_and_sub(&total->open_files, 1) == 1)
        __sync_fetch_and_add(&total->held_ns, bpf_ktime_get_boot_ns());
}

/* A workload has `file`, an open file on `device`, in a descriptor table. Harmless if known
 * already. */
static __always_inline void hold_file(struct file *file, __u64 workload, __u32 device,
                                      enum evidence evidence) {
    struct wire_holder_key holder_key = {.file = (__u64)file, .workload = workload};
    struct wire_usage_key usage_key = {.workload = workload, .device = device};
    struct wire_holder *known = bpf_map_lookup_elem(&holders, &holder_key);
    struct wire_holder fresh = {.device = device, .seen = scan_number};
    struct wire_edge edge = {.workload = workload, .device = device};
    struct wire_usage *total;

    if (known && known->device == device) {
        known->seen = scan_number;
        if (evidence == FOUND_OPEN)
            return;
        /* Opened again at the same address: the old file went unseen. The hold goes on. */
        total = usage_of(&usage_key);
        if (!total) {
            count_loss(WIRE_LOSS_USAGE_FULL);
            return;
        }
        __sync_fetch_and_add(&total->opens, 1);
        __sync_fetch_and_add(&total->releases, 1);
        return;
    }
    if (known)
        release_file(&holder_key, known->device); /* the address now is a file on another device */

    total = usage_of(&usage_key);
    if (!total) {
        count_loss(WIRE_LOSS_USAGE_FULL);
        return;
    }
    if (bpf_map_update_elem(&holders, &holder_key, &fresh, BPF_NOEXIST) != 0) {
        /* Another CPU was first (its edge counts), or there is no room. */
        if (!bpf_map_lookup_elem(&holders, &holder_key)) {
            count_loss(WIRE_LOSS_HOLDERS_FULL);
            if (evidence == SEEN_OPENING)
                __sync_fetch_and_add(&total->opens, 1);
        }
        return;
    }
    __sync_fetch_and_add(&holder_count, 1);
    __sync_fetch_and_add(evidence == SEEN_OPENING ? &total->opens : &total->found, 1);
    if (__sync_fetch_and_add(&total->open_files, 1) == 0) {
        edge.boottime_ns = bpf_ktime_get_boot_ns();
        __sync_fetch_and_add(&total->held_ns, -edge.boottime_ns);
        if (bpf_ringbuf_output(&edges, &edge, sizeof(edge), 0) != 0)
            count_loss(WIRE_LOSS_EDGES_FULL);
    }
}

#endif
