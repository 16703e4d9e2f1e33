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

/*
 * Of the maps below. They stay in the kernel while the agent is replaced: one with the same number
 * adopts them as they are; another reads the totals by the names of their members (BTF) and starts
 * afresh. Raise it with any change of layout or meaning.
 */
#define WIRE_VERSION 6

/* Up to this many device numbers at a time (map capacity). */
#define WIRE_MAX_NODES 4096

/* devices: device number as the kernel keeps it (major << 20 | minor, kdev_t.h) -> device index. */
#define WIRE_DEVICE_NUMBER(major, minor) ((__u32)(major) << 20 | (__u32)(minor))

/* The device index of the canary: a device that nobody watches and the agent opens once a window,
 * so that a hook which no longer fires is found out. Hooks count it in wire_state.canary alone. */
#define WIRE_CANARY ((__u32)-1)

/* usage: one entry per (workload, device), and one per device of whoever holds it. A workload is a
 * cgroup v2 id. */
struct wire_usage_key {
    __u64 workload;
    __u32 device;
    __u32 zero;
};

/* No cgroup's id: the entry says how long anybody held the device. Its files are the workloads that
 * hold it: `found` when they come to, of whom each counts once, however many files it has. */
#define WIRE_ANYBODY 0

/*
 * Totals since the entry was made; they only grow. held_ns is a running sum without a lock: the
 * first open file subtracts the time of its opening, the last release adds its own. So while
 * open_files > 0 the time held up to `now` is held_ns + now (modulo 2^64), else held_ns.
 *
 * An end that is learnt late, after another file's begin, joins what may have been two holds. The
 * time in between was nobody's; it is at most what late_ns grows by, from that end to that begin.
 */
struct wire_usage {
    __u64 held_ns; /* CLOCK_BOOTTIME */
    __u64 opens;
    __u64 found;
    __u64 releases;
    __u64 open_files;
    __u64 untracked;     /* open files that found no room in holders: held_ns is a lower bound */
    __u64 last_end_ns;   /* the latest end of a file's hold; ends may be learnt out of order */
    __u64 last_begin_ns; /* the latest begin */
    __u64 late_ns;       /* of held_ns, nobody's at most */
};

/* holders: one entry per open device file and workload that has it in a descriptor table. */
struct wire_holder_key {
    __u64 file; /* struct file *, an identity only */
    __u64 workload;
};

struct wire_holder {
    __u32 device;
    __u32 missed;   /* 1: the last scan did not see it, and nothing had let go of it */
    __u64 seen;     /* the last scan that saw it, or during which it was opened */
    __u64 left_ns;  /* when a descriptor of the workload's last let go, not contradicted since; 0 */
    __u64 flown_ns; /* when another workload received what then was in nobody's table but only in
                     * flight, and this one's, who had let go last; not contradicted since; 0 */
};

/* files: what the holders of one open file have in common. */
struct wire_file {
    __u32 device;
    __u32 holders; /* entries in holders */
    __u64 seen;    /* the last scan that saw it in any table, or during which it was opened */
    __u64 first;   /* the workload that had it first: mostly the only one */
    __u64 last_leaver;
    __u64 flown_ns; /* the latest of its holders' */
};

/* edges: what the agent should act on at once. */
enum wire_edge_kind {
    WIRE_WORKLOAD_NEW, /* name it while it is there */
    WIRE_SHARED_LEFT,  /* scan: does the workload still have the file by another descriptor? */
};

struct wire_edge {
    __u64 boottime_ns;
    __u64 workload;
    __u32 device;
    __u32 kind;
};

/* What a scan writes for each descriptor of a watched device, if wire_state.wants_holdings. */
struct wire_holding {
    __u64 workload;
    __u32 process; /* tgid */
    __u32 fd;
    __u32 device;
    __u32 zero;
};

/* The process with which a workload's first file on a device was seen: its opener, or on the rungs
 * that only see by looking, who had it when it was found. */
struct wire_opener {
    __u64 inode;  /* of its executable, task->mm->exe_file; 0: a kernel thread has none */
    __u32 device; /* of that inode's file system, as WIRE_DEVICE_NUMBER */
    __u32 user;   /* effective user id in the initial user namespace (kuid_t) */
    /* The executable's last name: its directory entry, not comm, which a process can set. NAME_MAX
     * is 255; a longer one than fits is cut, always with a final zero. */
    char executable[64];
};

/* A WIRE_WORKLOAD_NEW edge has this behind it: one record in the ring, told apart by its size. */
struct wire_newcomer {
    struct wire_edge edge;
    struct wire_opener opener;
};

/* ours, foreign: kernel objects by which the recording lives, and who else was seen with one. */
enum wire_object_kind { WIRE_MAP, WIRE_PROGRAM, WIRE_LINK, WIRE_OBJECT_KINDS };

struct wire_object {
    __u32 kind;
    __u32 id; /* the kernel's */
};

struct wire_foreign {
    struct wire_object object;
    __u32 tgid;
    __u32 zero;
};

/* guards: one record for each deed that could blind the recording. */
enum wire_guard_kind {
    WIRE_SIGNALLED, /* number: the signal */
    WIRE_TRACED,    /* number: PTRACE_MODE_* asked for */
    WIRE_MAPPED,    /* number: which resource; name: PCI address */
    WIRE_TOOK, /* WIRE_TOOK + wire_object_kind: got a descriptor; number: id; name: the kernel's */
    WIRE_GUARD_KINDS = WIRE_TOOK + WIRE_OBJECT_KINDS
};

struct wire_guard {
    __u64 boottime_ns;
    __u64 workload; /* of who did it */
    __u32 kind;
    __u32 number;
    __u32 tgid;      /* of who did it */
    __u32 by_kernel; /* 1: not by a system call of that process, but while it ran */
    char comm[16];
    char name[16];
};

/* What a hook does with the canary. */
enum wire_canary {
    WIRE_CANARY_OPENED,
    WIRE_CANARY_RECEIVED,
    WIRE_CANARY_FOUND,
    WIRE_CANARY_LEFT,
    WIRE_CANARY_RELEASED, /* any device file, while the agent has set canary_out */
    WIRE_CANARIES
};

/* state: one entry, mapped by the agent. */
struct wire_state {
    /* Written by the agent. */
    __u64 scan_number;     /* CLOCK_BOOTTIME at the begin of the scan in progress or the last one */
    __u64 last_scan_ns;    /* the same of the last one that came to its end */
    __u64 longest_gap_ns;  /* between scans that came to their end, and not yet attested */
    __u64 since_ns;        /* CLOCK_BOOTTIME: recording without a pause since */
    __u64 since_wall_ns;   /* the same moment on CLOCK_REALTIME */
    __u32 generation;      /* only programs loaded with this number count */
    __u32 follows_release; /* 1: the rung sees final releases, so a file in no table is not over */
    __u32 rung;            /* of the attached programs, as in statement.proto */
    __u32 canary_out;      /* 1: count releases of device files */
    __u32 own[WIRE_OBJECT_KINDS]; /* a descriptor of the agent's on one of our objects, per kind */
    __u32 hooks;                  /* how many are left pinned */
    /* Written by the programs. */
    __u64 holder_count; /* entries in holders: tells whether a scan is worth its while */
    __u64 leaving;      /* entries in leaving */
    __u64 operations[WIRE_OBJECT_KINDS]; /* struct file_operations * of such descriptors */
    __u64 canary[WIRE_CANARIES];
    /* Written by both. */
    __u64 found_again;    /* holders that the scan in progress came by and knew */
    __u32 agent;          /* its process id; 0: none, or it was killed */
    __u32 wants_holdings; /* 1: scans write wire_holding */
};

/* losses: one counter for every place that can drop something. */
enum wire_loss {
    WIRE_LOSS_HOLDERS_FULL, /* an open file was not recorded */
    WIRE_LOSS_USAGE_FULL,   /* an open file was not recorded for want of a (workload, device) */
    WIRE_LOSS_EDGES_FULL,   /* a hold was counted, its name may come late */
    WIRE_LOSS_UNREADABLE,   /* kernel memory could not be read: an open may have been missed */
    WIRE_LOSS_TABLE_LONG,   /* a descriptor table too long to walk: left to the next scan */
    WIRE_LOSS_GUARDS_FULL,  /* a deed was not recorded */
    WIRE_LOSSES
};

#ifdef __cplusplus
static_assert(std::has_unique_object_representations_v<wire_usage_key> &&
              std::has_unique_object_representations_v<wire_usage> &&
              std::has_unique_object_representations_v<wire_holder_key> &&
              std::has_unique_object_representations_v<wire_holder> &&
              std::has_unique_object_representations_v<wire_file> &&
              std::has_unique_object_representations_v<wire_edge> &&
              std::has_unique_object_representations_v<wire_holding> &&
              std::has_unique_object_representations_v<wire_opener> &&
              std::has_unique_object_representations_v<wire_newcomer> &&
              std::has_unique_object_representations_v<wire_object> &&
              std::has_unique_object_representations_v<wire_foreign> &&
              std::has_unique_object_representations_v<wire_guard> &&
              std::has_unique_object_representations_v<wire_state>);
#define WIRE_ASSERT static_assert
#else
#define WIRE_ASSERT _Static_assert
#endif

WIRE_ASSERT(sizeof(struct wire_usage_key) == 16, "wire_usage_key");
WIRE_ASSERT(sizeof(struct wire_usage) == 72, "wire_usage");
WIRE_ASSERT(sizeof(struct wire_holder_key) == 16, "wire_holder_key");
WIRE_ASSERT(sizeof(struct wire_holder) == 32, "wire_holder");
WIRE_ASSERT(sizeof(struct wire_file) == 40, "wire_file");
WIRE_ASSERT(sizeof(struct wire_edge) == 24, "wire_edge");
WIRE_ASSERT(sizeof(struct wire_holding) == 24, "wire_holding");
WIRE_ASSERT(sizeof(struct wire_opener) == 80, "wire_opener");
WIRE_ASSERT(sizeof(struct wire_newcomer) == 104, "wire_newcomer");
WIRE_ASSERT(sizeof(struct wire_object) == 8, "wire_object");
WIRE_ASSERT(sizeof(struct wire_foreign) == 16, "wire_foreign");
WIRE_ASSERT(sizeof(struct wire_guard) == 64, "wire_guard");
WIRE_ASSERT(sizeof(struct wire_state) == 168, "wire_state");

#endif
