/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The maps, shared by every program family: each file defines them weakly, and the linker keeps one
 * of each. Capacities are defaults; the agent may set others.
 */
#ifndef TALLY_MAPS_H
#define TALLY_MAPS_H

#include "bpf/kernel.h"
#include "bpf/wire.h"

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, WIRE_MAX_NODES);
    __type(key, __u32);
    __type(value, __u32);
} devices __weak SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, struct wire_usage_key);
    __type(value, struct wire_usage);
} usage __weak SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __type(key, struct wire_holder_key);
    __type(value, struct wire_holder);
} holders __weak SEC(".maps");

/* As many as holders: a file has one holder at least. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __type(key, __u64); /* struct file * */
    __type(value, struct wire_file);
} files __weak SEC(".maps");

/* Files that a descriptor table let go of while something else still had a reference: the few
 * among which a final release looks for its own. What finds no room is left to the next scan. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, __u64); /* struct file * */
    __type(value, __u32);
} leaving __weak SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 128 * 1024);
} edges __weak SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 256);
    __type(key, struct wire_object);
    __type(value, __u32);
} ours __weak SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 1024);
    __type(key, struct wire_foreign);
    __type(value, __u64); /* CLOCK_BOOTTIME when last seen */
} foreign __weak SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 128 * 1024);
} guards __weak SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, WIRE_LOSSES);
    __type(key, __u32);
    __type(value, __u64);
} losses __weak SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct wire_state);
} state __weak SEC(".maps");

#endif
