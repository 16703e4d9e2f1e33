/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What the programs of work evidence and the agent share. Their maps live as long as their source
 * is at work and are not pinned: a number here starts from zero, and says what was seen since.
 */
#ifndef TALLY_WORK_WIRE_H
#define TALLY_WORK_WIRE_H

#ifdef __cplusplus
#include <linux/types.h>
#include <type_traits>
#endif

/* Totals; they only grow. */
struct work_activity {
    __u64 count;
    __u64 active_seconds; /* distinct seconds of CLOCK_BOOTTIME in which anything was counted */
    __u64 last_second;    /* the latest of them, plus one: 0 is none */
};

/* cuda: by workload. */
enum work_cuda_call {
    WORK_CUDA_LAUNCH,
    WORK_CUDA_GRAPH_LAUNCH,
    WORK_CUDA_COPY,
    WORK_CUDA_SYNCHRONISE,
    WORK_CUDA_CALLS
};

struct work_cuda {
    struct work_activity all;
    __u64 calls[WORK_CUDA_CALLS];
};

#ifdef __cplusplus
static_assert(std::has_unique_object_representations_v<work_activity>);
static_assert(sizeof(work_activity) == 24);
static_assert(std::has_unique_object_representations_v<work_cuda>);
static_assert(sizeof(work_cuda) == 56);
#else
_Static_assert(sizeof(struct work_activity) == 24, "work_activity");
_Static_assert(sizeof(struct work_cuda) == 56, "work_cuda");
#endif

#endif
