/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What the kernel side and the agent share: map keys and values, one definition for both compilers.
 * Plain 64- and 32-bit members with explicit padding; both compilers prove the layout below.
 */
#ifndef TALLY_WIRE_H
#define TALLY_WIRE_H

#ifdef __cplusplus
#include <linux/types.h>
#include <type_traits>
#endif

/* Up to this many devices at a time (map capacity); an index is never used twice in one agent run.
 */
#define WIRE_MAX_NODES 4096

/* devices: device number as the kernel keeps it (major << 20 | minor, kdev_t.h) -> device index. */
#define WIRE_DEVICE_NUMBER(major, minor) ((__u32)(major) << 20 | (__u32)(minor))

/* usage: one entry per (workload, device). A workload is a cgroup v2 id. */
struct wire_usage_key {
    __u64 workload;
    __u32 device;
    __u32 zero;
};

/*
 * Totals since the entry was made; they only grow. held_ns is a running sum without a lock: the
 * first open file subtracts the time of its opening, the last release adds its own. So while
 * open_files > 0 the time held up to `now` is held_ns + now (modulo 2^64), else held_ns.
 */
struct wire_usage {
    __u64 held_ns; /* CLOCK_BOOTTIME */
    __u64 opens;
    __u64 found;
    __u64 releases;
    __u64 open_files;
};

/* holders: one entry per open device file and workload that has it in a descriptor table. */
struct wire_holder_key {
    __u64 file; /* struct file *, an identity only */
    __u64 workload;
};

struct wire_holder {
    __u32 device;
    __u32 zero;
    __u64 seen; /* number of the last scan that saw it, or during which it was opened */
};

/* edges: a ring buffer record when a hold begins, so that the agent can name the workload in time.
 */
struct wire_edge {
    __u64 boottime_ns;
    __u64 workload;
    __u32 device;
    __u32 zero;
};

/* losses: one counter for every place that can drop something. */
enum wire_loss {
    WIRE_LOSS_HOLDERS_FULL, /* an open file was not recorded */
    WIRE_LOSS_USAGE_FULL,   /* a (workload, device) was not recorded */
    WIRE_LOSS_EDGES_FULL,   /* a hold was counted, its name may come late */
    WIRE_LOSS_UNREADABLE,   /* kernel memory could not be read: an open may have been missed */
    WIRE_LOSSES
};

#ifdef __cplusplus
static_assert(std::has_unique_object_representations_v<wire_usage_key> &&
              std::has_unique_object_representations_v<wire_usage> &&
              std::has_unique_object_representations_v<wire_holder_key> &&
              std::has_unique_object_representations_v<wire_holder> &&
              std::has_unique_object_representations_v<wire_edge>);
#define WIRE_ASSERT static_assert
#else
#define WIRE_ASSERT _Static_assert
#endif

WIRE_ASSERT(sizeof(struct wire_usage_key) == 16, "wire_usage_key");
WIRE_ASSERT(sizeof(struct wire_usage) == 40, "wire_usage");
WIRE_ASSERT(sizeof(struct wire_holder_key) == 16, "wire_holder_key");
WIRE_ASSERT(sizeof(struct wire_holder) == 16, "wire_holder");
WIRE_ASSERT(sizeof(struct wire_edge) == 24, "wire_edge");

#endif
