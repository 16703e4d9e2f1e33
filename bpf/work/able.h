/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who was given what a device takes work through: counted by owner, and each one that is there,
 * with whom it belongs to, so that its end is counted where its beginning was.
 */
#ifndef TALLY_WORK_ABLE_H
#define TALLY_WORK_ABLE_H

#include "bpf/kernel.h"

#include "bpf/work/activity.h"

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, struct work_able_key);
    __type(value, struct work_able);
} able SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __type(key, struct work_object_key);
    __type(value, struct work_object);
} objects SEC(".maps");

/* What found no room in a map. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} lost SEC(".maps");

static __always_inline void count_lost(void) {
    __u32 only = 0;
    __u64 *losses = bpf_map_lookup_elem(&lost, &only);

    if (losses)
        __sync_fetch_and_add(losses, 1);
}

static __always_inline __u32 current_process(void) {
    return bpf_get_current_pid_tgid() >> 32;
}

static __always_inline struct work_able_key current_owner(__u32 place) {
    struct work_able_key owner = {
        .workload = current_workload(), .process = current_process(), .place = place};

    return owner;
}

static __always_inline struct work_able *able_of(const struct work_able_key *owner) {
    struct work_able *found = bpf_map_lookup_elem(&able, owner);
    struct work_able fresh = {};

    if (found)
        return found;
    bpf_map_update_elem(&able, owner, &fresh, BPF_NOEXIST);
    found = bpf_map_lookup_elem(&able, owner);
    if (!found)
        count_lost();
    return found;
}

static __always_inline void count_able(const struct work_able_key *owner,
                                       enum work_able_count what) {
    struct work_able *total = able_of(owner);

    if (!total)
        return;
    note_activity(&total->all, bpf_ktime_get_boot_ns());
    if (what < WORK_ABLE_COUNTS)
        __sync_fetch_and_add(&total->counts[what], 1);
}

static __always_inline void count_unknown(const struct work_able_key *owner, __u32 size) {
    struct work_able *total = able_of(owner);

    count_able(owner, WORK_ABLE_UNKNOWN);
    if (total)
        total->unknown_size = size;
}

static __noinline int end_object(const struct work_object_key *key) {
    struct work_object *object, ended;
    struct work_able *total;
    __u64 now = bpf_ktime_get_boot_ns();

    object = bpf_map_lookup_elem(&objects, key);
    if (!object)
        return 0;
    ended = *object;
    if (bpf_map_delete_elem(&objects, key) != 0)
        return 0;
    total = bpf_map_lookup_elem(&able, &ended.owner);
    if (!total)
        return 1;
    note_activity(&total->all, now);
    __sync_fetch_and_add(&total->counts[WORK_ABLE_DESTROYED], 1);
    if (__sync_fetch_and_sub(&total->there, 1) == 1)
        __sync_fetch_and_add(&total->able_ns, now);
    return 1;
}

/* One that has the same name must have ended unseen: a driver gives no name twice. */
static __always_inline void add_object(const struct work_object_key *key,
                                       const struct work_object *object,
                                       enum work_able_count what) {
    struct work_able *total;
    __u64 now = bpf_ktime_get_boot_ns();

    end_object(key);
    count_able(&object->owner, what);
    total = bpf_map_lookup_elem(&able, &object->owner);
    if (!total)
        return;
    if (bpf_map_update_elem(&objects, key, object, BPF_NOEXIST) != 0) {
        count_lost();
        return;
    }
    if (__sync_fetch_and_add(&total->there, 1) == 0)
        __sync_fetch_and_add(&total->able_ns, -now);
}

#endif
