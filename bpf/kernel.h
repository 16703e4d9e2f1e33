/* SPDX-License-Identifier: GPL-2.0-only */
/* What we read of the kernel's own structures, each in one place, relocated by CO-RE. */
#ifndef TALLY_KERNEL_H
#define TALLY_KERNEL_H

#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* include/uapi/linux/stat.h */
#define S_IFMT 00170000
#define S_IFCHR 0020000
/* include/linux/fs.h: opened with O_PATH, so the driver was never asked. */
#define FMODE_PATH 0x4000

/* struct file counts its references in f_count until 6.12, in f_ref from 6.13 on (commit
 * 90ee6ed776c0, "fs: port files to file_ref"). Our own flavours: the kernel that built us may have
 * either. */
struct file___counted {
    atomic_long_t f_count;
} __attribute__((preserve_access_index));

struct file_ref___tally {
    atomic_long_t refcnt;
} __attribute__((preserve_access_index));

struct file___ref {
    struct file_ref___tally f_ref;
} __attribute__((preserve_access_index));

/* The cgroup v2 id of a task: its directory's inode number (kernfs, 64 bit). */
static __always_inline __u64 task_workload(struct task_struct *task) {
    return BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
}

/* The same where the verifier knows that `task` is a task_struct. */
static __always_inline __u64 known_task_workload(struct task_struct *task) {
    return task->cgroups->dfl_cgrp->kn->id;
}

static __always_inline __u64 current_workload(void) {
    return task_workload(bpf_get_current_task_btf());
}

/* The file that a task executes; NULL for a kernel thread and a task that is past exit_mm. The
 * kernel keeps it alive as long as the mm, which the task that runs us has; of another task we may
 * read what was just freed, never fault. */
static __always_inline struct file *task_executable(struct task_struct *task) {
    return BPF_CORE_READ(task, mm, exe_file);
}

/* In the initial user namespace, whatever namespace the task is in (include/linux/uidgid.h). */
static __always_inline __u32 task_user(struct task_struct *task) {
    return BPF_CORE_READ(task, cred, euid.val);
}

/* The device number behind an open file, or 0 if it is no character device or was opened with
 * O_PATH. */
static __always_inline __u32 file_device_number(struct file *file) {
    struct inode *inode = BPF_CORE_READ(file, f_inode);

    if ((BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFCHR)
        return 0;
    if (BPF_CORE_READ(file, f_mode) & FMODE_PATH)
        return 0;
    return BPF_CORE_READ(inode, i_rdev);
}

/* The same where the verifier knows that `file` is a struct file: plain loads, no helper calls. */
static __always_inline __u32 known_file_device_number(struct file *file) {
    struct inode *inode = file->f_inode;

    if (!inode || (inode->i_mode & S_IFMT) != S_IFCHR)
        return 0;
    if (file->f_mode & FMODE_PATH)
        return 0;
    return inode->i_rdev;
}

/* References to an open file; zero or less if it is being released or already gone. From 6.13 on
 * the counter is one less, and far below zero once dead (include/linux/file_ref.h). */
static __always_inline long file_references(struct file *file) {
    struct file___counted *counted = (void *)file;
    struct file___ref *ref = (void *)file;

    if (bpf_core_field_exists(counted->f_count))
        return BPF_CORE_READ(counted, f_count.counter);
    return BPF_CORE_READ(ref, f_ref.refcnt.counter) + 1;
}

#endif
