// SPDX-License-Identifier: GPL-2.0-only
/*
 * What jobs do on the rings of the kernel's GPU scheduler (drivers/gpu/drm/scheduler), by workload.
 *
 *   queue  ioctl of the submitter -> drm_sched_entity_push_job    drm_sched_job, from 6.17 on
 *                                                                 drm_sched_job_queue
 *   run    the scheduler's worker -> ops->run_job                 drm_run_job; drm_sched_job_run
 *   done   hardware fence -> drm_sched_job_done                   drm_sched_process_job;
 *                                                                 drm_sched_job_done
 *
 * Under either name the first two tell (struct drm_sched_job *, struct drm_sched_entity *), the
 * last (struct drm_sched_fence *): gpu_scheduler_trace.h of 5.9 to 6.18; TP_PROTO did not change
 * with the names (lore.kernel.org/all/20250526125505.2360-1-pierre-eric.pelloux-prayer@amd.com/).
 * The agent attaches these programs to the names that there are. A job is known by its
 * drm_sched_fence, which it has from drm_sched_job_arm() on, before it is queued, to its end.
 *
 * A job that is killed before it runs ends without an event, so jobs are in an LRU map.
 */
#include "bpf/kernel.h"

#include "bpf/work/activity.h"
#include "bpf/work/ring.h"

/* include/drm/gpu_scheduler.h. The types are a module's on most kernels. */
struct drm_gpu_scheduler___tally {
    const char *name;
    struct device *dev; /* from 5.18 on */
} __attribute__((preserve_access_index));

struct dma_fence___tally {
    unsigned long flags;
} __attribute__((preserve_access_index));

struct drm_sched_fence___tally {
    struct dma_fence___tally finished;
    struct drm_gpu_scheduler___tally *sched;
} __attribute__((preserve_access_index));

struct drm_sched_job___tally {
    struct drm_gpu_scheduler___tally *sched;
    struct drm_sched_fence___tally *s_fence;
} __attribute__((preserve_access_index));

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 16384);
    __type(key, __u64); /* drm_sched_fence */
    __type(value, struct work_job);
} jobs SEC(".maps");

/* LRU: some drivers make a scheduler for each queue of each client. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 2048);
    __type(key, __u64); /* drm_gpu_scheduler */
    __type(value, struct work_named_ring);
} rings SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8192);
    __type(key, struct work_share);
    __type(value, struct work_busy);
} shares SEC(".maps");

static __always_inline void read_name(struct work_ring_name *name,
                                      struct drm_gpu_scheduler___tally *sched) {
    struct device *device = 0;
    const char *text = BPF_CORE_READ(sched, name);

    bpf_probe_read_kernel_str(name->engine, sizeof(name->engine), text);
    if (bpf_core_field_exists(sched->dev))
        device = BPF_CORE_READ(sched, dev);
    /* dev_name(): init_name is cleared when the device is added (drivers/base/core.c). */
    text = BPF_CORE_READ(device, kobj.name);
    bpf_probe_read_kernel_str(name->device, sizeof(name->device), text);
}

static __always_inline bool same_name(struct work_ring_name *one, struct work_ring_name *other) {
    __u64 *a = (__u64 *)one, *b = (__u64 *)other;
    __u64 different = 0;

    for (unsigned int i = 0; i < sizeof(*one) / sizeof(*a); i++)
        different |= a[i] ^ b[i];
    return !different;
}

/* The scheduler's ring. Another scheduler may be where one was, with another name. */
static __always_inline struct work_named_ring *ring_of(struct drm_gpu_scheduler___tally *sched) {
    __u64 key = (__u64)sched;
    struct work_named_ring fresh = {};
    struct work_named_ring *ring = bpf_map_lookup_elem(&rings, &key);

    read_name(&fresh.name, sched);
    if (ring && same_name(&ring->name, &fresh.name))
        return ring;
    bpf_map_update_elem(&rings, &key, &fresh, BPF_ANY);
    return bpf_map_lookup_elem(&rings, &key);
}

static __always_inline struct work_busy *share_of(__u64 workload, struct work_ring_name *on) {
    struct work_share key = {};
    struct work_busy fresh = {};
    struct work_busy *busy;

    key.workload = workload;
    key.on = *on;
    busy = bpf_map_lookup_elem(&shares, &key);
    if (busy)
        return busy;
    bpf_map_update_elem(&shares, &key, &fresh, BPF_NOEXIST);
    return bpf_map_lookup_elem(&shares, &key);
}

/* The agent keeps a place for these of each held device. */
static __always_inline void count_lost(struct work_ring_name *on) {
    struct work_ring_name device = *on;
    struct work_busy *lost;

    __builtin_memset(device.engine, 0, sizeof(device.engine));
    lost = share_of(0, &device);
    if (lost)
        __sync_fetch_and_add(&lost->activity.count, 1);
}

/* Gives the job's workload the ring's time up to now. */
static __always_inline struct work_busy *credit(struct work_named_ring *ring, struct work_job *job,
                                                __u64 now) {
    __u64 begin = 0;
    __u64 taken = ring_take(&ring->ring, job, now, &begin);
    struct work_busy *busy = 0;

    if (job->workload)
        busy = share_of(job->workload, &ring->name);
    if (busy && taken)
        add_busy(busy, begin, taken);
    return busy;
}

SEC("raw_tp")
int queued(struct bpf_raw_tracepoint_args *ctx) {
    struct drm_sched_job___tally *sched_job = (void *)ctx->args[0];
    __u64 key = (__u64)BPF_CORE_READ(sched_job, s_fence);
    struct work_job job = {};

    job.workload = current_workload();
    bpf_map_update_elem(&jobs, &key, &job, BPF_ANY);
    return 0;
}

SEC("raw_tp")
int run(struct bpf_raw_tracepoint_args *ctx) {
    struct drm_sched_job___tally *sched_job = (void *)ctx->args[0];
    struct drm_gpu_scheduler___tally *sched = BPF_CORE_READ(sched_job, sched);
    __u64 key = (__u64)BPF_CORE_READ(sched_job, s_fence);
    struct work_job *job = bpf_map_lookup_elem(&jobs, &key);
    struct work_named_ring *ring = ring_of(sched);
    struct work_job unseen = {};

    if (!ring)
        return 0;
    if (job) {
        ring_run(&ring->ring, job, (__u64)sched, bpf_ktime_get_boot_ns());
        return 0;
    }
    ring_run(&ring->ring, &unseen, (__u64)sched, bpf_ktime_get_boot_ns());
    bpf_map_update_elem(&jobs, &key, &unseen, BPF_ANY);
    return 0;
}

SEC("raw_tp")
int done(struct bpf_raw_tracepoint_args *ctx) {
    struct drm_sched_fence___tally *fence = (void *)ctx->args[0];
    __u64 key = (__u64)fence;
    __u64 now = bpf_ktime_get_boot_ns();
    struct work_job *job = bpf_map_lookup_elem(&jobs, &key);
    struct work_job unseen = {}; /* on the hardware before we were: all time up to now is its */
    struct work_named_ring *ring = 0;
    struct work_busy *busy;

    if (job && job->ring)
        ring = bpf_map_lookup_elem(&rings, &job->ring);
    else
        job = &unseen;
    if (!ring)
        ring = ring_of(BPF_CORE_READ(fence, sched));
    if (!ring)
        return 0;
    busy = credit(ring, job, now);
    ring_done(&ring->ring, job);
    if (busy)
        __sync_fetch_and_add(&busy->activity.count, 1);
    else
        count_lost(&ring->name);
    bpf_map_delete_elem(&jobs, &key);
    return 0;
}

struct settlement {
    __u64 now_ns;
};

/* Whether the job ended without our seeing it: an interrupt in the midst of another job's end. */
static __always_inline bool has_ended(__u64 fence_key) {
    struct drm_sched_fence___tally *fence = (void *)fence_key;
    __u64 signalled = bpf_core_enum_value(enum dma_fence_flag_bits, DMA_FENCE_FLAG_SIGNALED_BIT);

    return BPF_CORE_READ(fence, finished.flags) & (1UL << signalled);
}

static long settle_job(struct bpf_map *map, __u64 *key, struct work_job *job,
                       struct settlement *at) {
    struct work_named_ring *ring;

    if (!job->ring)
        return 0;
    ring = bpf_map_lookup_elem(&rings, &job->ring);
    if (!ring)
        return 0;
    if (has_ended(*key)) {
        ring_done(&ring->ring, job);
        count_lost(&ring->name);
        bpf_map_delete_elem(&jobs, key);
    } else if (ring_is_at(&ring->ring, job)) {
        credit(ring, job, at->now_ns);
    }
    return 0;
}

/* At a window's end: gives the jobs that have a ring their time up to then. */
SEC("syscall")
int settle(struct settlement *at) {
    struct settlement copy = *at;

    bpf_for_each_map_elem(&jobs, settle_job, &copy, 0);
    return 0;
}

char _license[] SEC("license") = "GPL";
