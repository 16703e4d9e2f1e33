// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rung kprobe: breakpoints on the functions of exact.bpf.c, for kernels or machines without BPF
 * trampolines. As precise, dearer.
 */
#include "bpf/count.h"

/* The file that a thread is opening: a return probe no longer has its arguments. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, __u32); /* thread */
    __type(value, __u64);
} opening SEC(".maps");

static __always_inline __u32 *watched(struct file *file) {
    __u32 number = file_device_number(file);

    return number ? bpf_map_lookup_elem(&devices, &number) : NULL;
}

SEC("kprobe/chrdev_open")
int BPF_KPROBE(kprobe_opening, struct inode *inode, struct file *file) {
    __u32 number = BPF_CORE_READ(inode, i_rdev);
    __u32 thread = bpf_get_current_pid_tgid();
    __u64 address = (__u64)file;

    if (bpf_map_lookup_elem(&devices, &number) &&
        bpf_map_update_elem(&opening, &thread, &address, BPF_ANY) != 0)
        count_loss(WIRE_LOSS_HOLDERS_FULL);
    return 0;
}

SEC("kretprobe/chrdev_open")
int BPF_KRETPROBE(kprobe_open, long error) {
    __u32 thread = bpf_get_current_pid_tgid();
    __u64 *address = bpf_map_lookup_elem(&opening, &thread);
    struct file *file;
    __u32 *device;

    if (!address)
        return 0;
    file = (struct file *)*address;
    bpf_map_delete_elem(&opening, &thread);
    if ((int)error)
        return 0;
    device = watched(file);
    if (device)
        hold_current(file, *device, SEEN_OPENING);
    return 0;
}

SEC("kprobe/locks_remove_posix")
int BPF_KPROBE(kprobe_leave, struct file *file) {
    __u32 *device = watched(file);

    if (device)
        leave_file(file, current_workload(), *device);
    return 0;
}

SEC("kprobe/cdev_put")
int BPF_KPROBE(kprobe_release) {
    release_dying();
    return 0;
}

SEC("kprobe/security_file_receive")
int BPF_KPROBE(kprobe_receive, struct file *file) {
    __u32 *device = watched(file);

    if (device)
        hold_current(file, *device, SEEN_RECEIVING);
    return 0;
}

char _license[] SEC("license") = "GPL";
