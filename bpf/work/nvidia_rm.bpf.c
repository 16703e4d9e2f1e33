// SPDX-License-Identifier: GPL-2.0-only
/*
 * Channels that NVIDIA's resource manager gives and takes back. The formats are those of
 * NVIDIA/open-gpu-kernel-modules:
 *
 *   kernel-open/common/inc/nv-ioctl-numbers.h, src/nvidia/arch/nvalloc/unix/include/nv_escape.h
 *       the numbers; nvidia_ioctl (kernel-open/nvidia/nv.c) goes by the number alone, not by the
 *       magic 'F' (drivers of 2025 and later may check it)
 *   kernel-open/common/inc/nv-ioctl.h   nv_ioctl_xfer_t, which wraps another request
 *   src/common/sdk/nvidia/inc/nvos.h    NVOS00 (free), NVOS21 and NVOS64 (allocate), as they are
 *       since driver 535; RmIoctl (src/nvidia/arch/nvalloc/unix/src/escape.c) takes these two
 *       sizes and no other, all but events on the control file only
 *   src/common/sdk/nvidia/inc/class/cl*6f.h, cla06c.h   classes
 *
 * The call returns 0 also if the resource manager refused: its own status is in the structure.
 */
#include "bpf/work/ioctl.h"

#define NV_ESC_RM_FREE 0x29
#define NV_ESC_RM_ALLOC 0x2b
#define NV_ESC_IOCTL_XFER_CMD 211
#define KEPLER_CHANNEL_GROUP_A 0xa06c

struct rm_transfer { /* nv_ioctl_xfer_t */
    __u32 command;   /* the number alone */
    __u32 size;
    __u64 pointer;
};

struct rm_free { /* NVOS00_PARAMETERS */
    __u32 client;
    __u32 parent;
    __u32 object;
    __u32 status;
};

struct rm_alloc { /* what NVOS21_PARAMETERS and NVOS64_PARAMETERS begin with */
    __u32 client;
    __u32 parent;
    __u32 object; /* chosen by the resource manager if it was 0 */
    __u32 class;
};
#define NVOS21_SIZE 32
#define NVOS21_STATUS 28
#define NVOS64_SIZE 48
#define NVOS64_STATUS 40

/* Objects with channels below them, and groups, which may get some; with their own parent if that
 * matters. A free of anything else is one failed lookup. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __type(key, struct work_object_key);
    __type(value, __u64);
} parents SEC(".maps");

/* Every GPFIFO class, from G80's (506f) on: VOLTA_CHANNEL_GPFIFO_A c36f, BLACKWELL_... ca6f. */
static __always_inline int is_channel(__u32 class) {
    return (class & 0xff) == 0x6f && class >= 0x506f && class <= 0xffff;
}

static __always_inline void note_parent(__u64 client, __u64 handle, __u64 parent, __u64 flags) {
    struct work_object_key key = {.space = client, .handle = handle};

    if (bpf_map_update_elem(&parents, &key, &parent, flags) != 0 && flags == BPF_ANY)
        count_lost();
}

static __noinline int allocated(__u64 pointer, __u32 size) {
    __u64 status_at = size == NVOS21_SIZE ? NVOS21_STATUS : NVOS64_STATUS;
    struct work_object object = {.owner = current_owner(0)};
    struct work_object_key key = {};
    struct rm_alloc asked_for;
    __u32 status;
    __u64 *grandparent;

    if (size != NVOS21_SIZE && size != NVOS64_SIZE) {
        count_unknown(&object.owner, size);
        return 0;
    }
    if (bpf_probe_read_user(&asked_for, sizeof(asked_for), (void *)pointer) != 0 ||
        bpf_probe_read_user(&status, sizeof(status), (void *)(pointer + status_at)) != 0) {
        count_able(&object.owner, WORK_ABLE_UNREAD);
        return 0;
    }
    if (asked_for.class == KEPLER_CHANNEL_GROUP_A && !status) {
        note_parent(asked_for.client, asked_for.object, asked_for.parent, BPF_ANY);
        count_able(&object.owner, WORK_ABLE_CREATED_OTHER);
    }
    if (!is_channel(asked_for.class))
        return 0;
    if (status) {
        count_able(&object.owner, WORK_ABLE_REFUSED);
        return 0;
    }
    key.space = asked_for.client;
    key.handle = asked_for.parent;
    grandparent = bpf_map_lookup_elem(&parents, &key);
    object.parent = asked_for.parent;
    object.grandparent = grandparent ? *grandparent : 0;
    note_parent(asked_for.client, asked_for.client, 0, BPF_NOEXIST);
    note_parent(asked_for.client, object.parent, 0, BPF_NOEXIST);
    if (object.grandparent)
        note_parent(asked_for.client, object.grandparent, 0, BPF_NOEXIST);
    key.handle = asked_for.object;
    add_object(&key, &object, WORK_ABLE_CREATED);
    return 0;
}

static long end_if_below(struct bpf_map *map, struct work_object_key *key,
                         struct work_object *object, struct rm_free *freed) {
    struct work_object_key ending = *key;

    if (ending.space == freed->client &&
        (freed->object == freed->client || object->parent == freed->object ||
         object->grandparent == freed->object))
        end_object(&ending);
    return 0;
}

static long forget_if_of_client(struct bpf_map *map, struct work_object_key *key, __u64 *parent,
                                struct rm_free *freed) {
    struct work_object_key gone = *key;

    if (gone.space == freed->client)
        bpf_map_delete_elem(&parents, &gone);
    return 0;
}

static __noinline int freed(__u64 pointer, __u32 size) {
    struct work_able_key owner = current_owner(0);
    struct work_object_key key = {};
    struct rm_free gone;

    if (size != sizeof(gone)) {
        count_unknown(&owner, size);
        return 0;
    }
    if (bpf_probe_read_user(&gone, sizeof(gone), (void *)pointer) != 0) {
        count_able(&owner, WORK_ABLE_UNREAD);
        return 0;
    }
    key.space = gone.client;
    key.handle = gone.object;
    if (gone.status || end_object(&key) || !bpf_map_lookup_elem(&parents, &key))
        return 0;
    bpf_for_each_map_elem(&objects, end_if_below, &gone, 0);
    bpf_map_delete_elem(&parents, &key);
    if (gone.object == gone.client)
        bpf_for_each_map_elem(&parents, forget_if_of_client, &gone, 0);
    return 0;
}

static __always_inline int is_ours(__u32 command) {
    __u32 number = IOCTL_NUMBER(command);

    return number == NV_ESC_RM_ALLOC || number == NV_ESC_RM_FREE || number == NV_ESC_IOCTL_XFER_CMD;
}

static __noinline int asked(__u32 command, __u64 argument, long result) {
    struct rm_transfer inner = {
        .command = IOCTL_NUMBER(command), .size = IOCTL_SIZE(command), .pointer = argument};
    struct work_able_key owner;

    if (result)
        return 0;
    if (inner.command == NV_ESC_IOCTL_XFER_CMD &&
        bpf_probe_read_user(&inner, sizeof(inner), (void *)argument) != 0) {
        owner = current_owner(0);
        count_able(&owner, WORK_ABLE_UNREAD);
        return 0;
    }
    if (inner.command == NV_ESC_RM_ALLOC)
        allocated(inner.pointer, inner.size);
    else if (inner.command == NV_ESC_RM_FREE)
        freed(inner.pointer, inner.size);
    return 0;
}

char _license[] SEC("license") = "GPL";
