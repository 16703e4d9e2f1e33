/* SPDX-License-Identifier: GPL-2.0-only */
/* The maps, shared by every program family. Capacities are defaults; the agent may set others. */
#ifndef TALLY_MAPS_H
#define TALLY_MAPS_H

#include "bpf/kernel.h"
#include "bpf/wire.h"

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, WIRE_MAX_NODES);
    __type(key, __u32);
    __type(value, __u32);
} devices SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, struct wire_usage_key);
    __type(value, struct wire_usage);
} usage SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __type(key, struct wire_holder_key);
    __type(value, struct wire_holder);
} holders SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 128 * 1024);
} edges SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, WIRE_LOSSES);
    __type(key, __u32);
    __type(value, __u64);
} losses SEC(".maps");

/* The number of the scan in progress or, between scans, of the last one. Written by the agent. */
volatile __u64 scan_number;

/* Entries in holders: tells the agent whether a scan is worth its while. */
volatile __u64 holder_count;

#endif
