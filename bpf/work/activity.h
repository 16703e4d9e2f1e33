/* SPDX-License-Identifier: GPL-2.0-only */
/* How programs of work evidence count. */
#ifndef TALLY_WORK_ACTIVITY_H
#define TALLY_WORK_ACTIVITY_H

#include "vmlinux.h"

#include "bpf/work/wire.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

static __always_inline void note_activity(struct work_activity *activity, __u64 boottime_ns) {
    __u64 second = boottime_ns / 1000000000 + 1;
    __u64 last = activity->last_second;

    __sync_fetch_and_add(&activity->count, 1);
    if (last < second && __sync_val_compare_and_swap(&activity->last_second, last, second) == last)
        __sync_fetch_and_add(&activity->active_seconds, 1);
}

#endif
