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

/* nvidia_rm, kfd: by who was given what a device takes work through, channels or queues. */
struct work_able_key {
    __u64 workload;
    __u32 process;
    __u32 place; /* KFD's gpu_id; 0: the driver was not told here */
};

enum work_able_count {
    WORK_ABLE_CREATED,       /* channels; compute queues */
    WORK_ABLE_CREATED_OTHER, /* groups of channels; copy queues */
    WORK_ABLE_DESTROYED,     /* on request, or with a parent that was */
    WORK_ABLE_REFUSED,
    WORK_ABLE_UNKNOWN, /* the structure has a size that we do not know */
    WORK_ABLE_UNREAD,  /* the structure could not be read, or the call's end was missed */
    WORK_ABLE_COUNTS
};

struct work_able {
    struct work_activity all;
    __u64 counts[WORK_ABLE_COUNTS];
    __u64 there;        /* created and not known to be gone */
    __u64 able_ns;      /* as wire_usage.held_ns: if any are there, add CLOCK_BOOTTIME */
    __u64 unknown_size; /* of the latest structure of unknown size, in bytes */
};

struct work_object_key {
    __u64 space; /* NVIDIA: the client (hRoot); KFD: the process */
    __u64 handle;
};

struct work_object {
    struct work_able_key owner;
    __u64 parent; /* handles in the same space; 0: none that matters */
    __u64 grandparent;
};

/* drm_sched: by workload and ring. Names end with a zero and are cut. */
enum { WORK_NAME = 24 };

struct work_ring_name {
    char device[WORK_NAME]; /* dev_name(): "0000:03:00.0" for a PCI function */
    char engine[WORK_NAME];
};

/* A scheduler of the kernel's: drm_gpu_scheduler. */
struct work_ring {
    __u64 until_ns; /* CLOCK_BOOTTIME up to which its time was given out */
    __u64 runs;     /* jobs handed to the hardware so far: the latest one's turn */
    __u64 done;     /* the latest turn that ended */
};

struct work_named_ring {
    struct work_ring ring;
    struct work_ring_name name;
};

struct work_share {
    __u64 workload; /* 0: jobs that nobody saw queued, or that found no room; their number alone
                     * tells, and `engine` is empty */
    struct work_ring_name on;
};

struct work_busy {
    struct work_activity activity; /* count: jobs done */
    __u64 busy_ns;
};

#ifdef __cplusplus
static_assert(std::has_unique_object_representations_v<work_share>);
static_assert(sizeof(work_share) == 56);
static_assert(std::has_unique_object_representations_v<work_busy>);
static_assert(sizeof(work_busy) == 32);
static_assert(std::has_unique_object_representations_v<work_named_ring>);
static_assert(sizeof(work_named_ring) == 72);
static_assert(std::has_unique_object_representations_v<work_activity>);
static_assert(sizeof(work_activity) == 24);
static_assert(std::has_unique_object_representations_v<work_cuda>);
static_assert(sizeof(work_cuda) == 56);
static_assert(std::has_unique_object_representations_v<work_able_key>);
static_assert(sizeof(work_able_key) == 16);
static_assert(std::has_unique_object_representations_v<work_able>);
static_assert(sizeof(work_able) == 96);
static_assert(std::has_unique_object_representations_v<work_object_key>);
static_assert(std::has_unique_object_representations_v<work_object>);
static_assert(sizeof(work_object) == 32);
#else
_Static_assert(sizeof(struct work_activity) == 24, "work_activity");
_Static_assert(sizeof(struct work_cuda) == 56, "work_cuda");
_Static_assert(sizeof(struct work_able_key) == 16, "work_able_key");
_Static_assert(sizeof(struct work_able) == 96, "work_able");
_Static_assert(sizeof(struct work_object) == 32, "work_object");
_Static_assert(sizeof(struct work_share) == 56, "work_share");
_Static_assert(sizeof(struct work_busy) == 32, "work_busy");
_Static_assert(sizeof(struct work_named_ring) == 72, "work_named_ring");
#endif

#endif
