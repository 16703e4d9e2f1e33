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

/* The cgroup v2 id of a task: its directory's inode number (kernfs, 64 bit). */
static __always_inline __u64 task_workload(struct task_struct *task) {
    return BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
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

#endif
