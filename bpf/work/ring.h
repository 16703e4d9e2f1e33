/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Who had a ring, and when: from the kernel's GPU scheduler's events, by arithmetic alone, so that
 * a test can feed it recorded events without a kernel.
 *
 * A ring works off its jobs in order, one at a time. A job has the ring from when it was handed to
 * the hardware (run) or when the one before it on its ring ended, whichever is later, to its own
 * end (done). Every piece of a ring's time is given out once: whoever moves `until_ns` forward owns
 * what lies between, be it a job that ends or the agent at a window's end. So the sum over a ring's
 * jobs never exceeds the time that passed, in whatever order and on however many CPUs events come.
 */
#ifndef TALLY_WORK_RING_H
#define TALLY_WORK_RING_H

#ifndef __cplusplus
#include "vmlinux.h"
#endif
#include "bpf/work/wire.h"

#ifdef __cplusplus
#define TALLY_INLINE inline
#else
#define TALLY_INLINE static __attribute__((always_inline)) inline
#endif

struct work_job {
    __u64 workload; /* 0: nobody saw it queued */
    __u64 ring;     /* key of the ring; 0: not handed to the hardware yet */
    __u64 run_ns;
    __u64 turn;
};

/* Jobs of one scheduler are handed to the hardware by one thread. */
TALLY_INLINE void ring_run(struct work_ring *ring, struct work_job *job, __u64 ring_key,
                           __u64 now_ns) {
    job->ring = ring_key;
    job->run_ns = now_ns;
    job->turn = __sync_fetch_and_add(&ring->runs, 1) + 1;
}

/* The job's share of the ring's time that ends now; it began at *begin_ns. 0: none was left. */
TALLY_INLINE __u64 ring_take(struct work_ring *ring, const struct work_job *job, __u64 now_ns,
                             __u64 *begin_ns) {
    for (int tries = 0; tries < 4; tries++) { /* CPUs that take at once: the loser looks again */
        __u64 until = *(volatile __u64 *)&ring->until_ns;
        __u64 begin = job->run_ns > until ? job->run_ns : until;

        if (begin >= now_ns)
            return 0;
        if (__sync_val_compare_and_swap(&ring->until_ns, until, now_ns) == until) {
            *begin_ns = begin;
            return now_ns - begin;
        }
    }
    return 0;
}

/* A turn above all runs is one of a ring that was forgotten. */
TALLY_INLINE void ring_done(struct work_ring *ring, const struct work_job *job) {
    if (job->turn > ring->done && job->turn <= ring->runs)
        ring->done = job->turn;
}

/* Whether it is the job that has the ring. One that was overtaken is not any more: it may be lost,
 * and would be busy for ever. */
TALLY_INLINE int ring_is_at(const struct work_ring *ring, const struct work_job *job) {
    return job->turn == ring->done + 1;
}

TALLY_INLINE void add_busy(struct work_busy *busy, __u64 begin_ns, __u64 busy_ns) {
    __u64 first = begin_ns / 1000000000 + 1;
    __u64 last = (begin_ns + busy_ns - 1) / 1000000000 + 1;
    __u64 before = busy->activity.last_second;

    __sync_fetch_and_add(&busy->busy_ns, busy_ns);
    if (first <= before)
        first = before + 1;
    if (first <= last &&
        __sync_val_compare_and_swap(&busy->activity.last_second, before, last) == before)
        __sync_fetch_and_add(&busy->activity.active_seconds, last + 1 - first);
}

#endif
