// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts of watched devices, counted by device. An interrupt whose number the agent did not
 * name costs one failed lookup.
 *
 *   hardware interrupt -> __handle_irq_event_percpu -> irq_handler_entry   (kernel/irq/handle.c)
 */
#include "bpf/work/activity.h"

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8192);
    __type(key, __u32);   /* interrupt number */
    __type(value, __u32); /* device index */
} interrupt_devices SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, __u32); /* device index */
    __type(value, struct work_activity);
} interrupts SEC(".maps");

SEC("tp_btf/irq_handler_entry")
int BPF_PROG(interrupt, int number, struct irqaction *action) {
    __u32 key = number;
    __u32 *device = bpf_map_lookup_elem(&interrupt_devices, &key);
    struct work_activity *activity;

    if (!device)
        return 0;
    activity = bpf_map_lookup_elem(&interrupts, device);
    if (activity)
        note_activity(activity, bpf_ktime_get_boot_ns());
    return 0;
}

char _license[] SEC("license") = "GPL";
