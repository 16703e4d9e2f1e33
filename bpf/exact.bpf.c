// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rung exact: BPF trampolines on the functions that open, let go of, release and pass files. No
 * system call's way gets longer; an ordinary file meets one program, at its close, which tells it
 * by its inode.
 *
 *   opens     do_dentry_open -> f_op->open = chrdev_open          (fs/char_dev.c; device files
 * only) leaves    close, dup2, exec, exit -> filp_flush (filp_close before 6.6) ->
 * locks_remove_posix (fs/open.c; the one function that every descriptor's end calls, not inlined)
 *   releases  __fput -> cdev_put                                  (fs/file_table.c; device files
 * only) passes    SCM_RIGHTS, pidfd_getfd, seccomp addfd -> receive_fd -> security_file_receive
 * (fs/file.c)
 */
#include "bpf/count.h"

SEC("fexit/chrdev_open")
int BPF_PROG(exact_open, struct inode *inode, struct file *file, int error) {
    __u32 number = inode->i_rdev;
    __u32 *device;

    if (error)
        return 0;
    device = bpf_map_lookup_elem(&devices, &number);
    if (device)
        hold_current(file, *device, SEEN_OPENING);
    return 0;
}

SEC("fentry/locks_remove_posix")
int BPF_PROG(exact_leave, struct file *file) {
    __u32 number = known_file_device_number(file);
    __u32 *device;

    if (!number)
        return 0;
    device = bpf_map_lookup_elem(&devices, &number);
    if (device)
        leave_file(file, current_workload(), *device);
    return 0;
}

SEC("fentry/cdev_put")
int BPF_PROG(exact_release, struct cdev *cdev) {
    release_dying();
    return 0;
}

SEC("fentry/security_file_receive")
int BPF_PROG(exact_receive, struct file *file) {
    __u32 number = known_file_device_number(file);
    __u32 *device;

    if (!number)
        return 0;
    device = bpf_map_lookup_elem(&devices, &number);
    if (device)
        hold_current(file, *device, SEEN_RECEIVING);
    return 0;
}

char _license[] SEC("license") = "GPL";
