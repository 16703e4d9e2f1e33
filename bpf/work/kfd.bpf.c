// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues that AMD's KFD gives and takes back (include/uapi/linux/kfd_ioctl.h). kfd_ioctl
 * (drivers/gpu/drm/amd/amdkfd/kfd_chardev.c) goes by the command's number, not by its magic 'K',
 * and takes a structure of any size: what is missing is zero. Fields only come at the end, so a
 * structure that has those that we read is read right.
 */
#include "bpf/work/ioctl.h"

#define KFD_CREATE_QUEUE 0x02
#define KFD_DESTROY_QUEUE 0x03
/* queue_type; 0 and 2 compute */
#define KFD_QUEUE_SDMA 1
#define KFD_QUEUE_SDMA_XGMI 3
#define KFD_QUEUE_SDMA_BY_ENG_ID 4

struct kfd_queue { /* kfd_ioctl_create_queue_args, from gpu_id to queue_id */
    __u32 gpu;
    __u32 type;
    __u32 percentage;
    __u32 priority;
    __u32 queue;
};
#define KFD_QUEUE_AT 36

static __noinline int created(__u64 pointer, __u32 size, long result) {
    struct work_object object = {.owner = current_owner(0)};
    struct work_object_key key = {};
    struct kfd_queue queue;
    int copies;

    if (size < KFD_QUEUE_AT + sizeof(queue)) {
        if (!result)
            count_unknown(&object.owner, size);
        return 0;
    }
    if (bpf_probe_read_user(&queue, sizeof(queue), (void *)(pointer + KFD_QUEUE_AT)) != 0) {
        if (!result)
            count_able(&object.owner, WORK_ABLE_UNREAD);
        return 0;
    }
    object.owner.place = queue.gpu;
    if (result) {
        count_able(&object.owner, WORK_ABLE_REFUSED);
        return 0;
    }
    copies = queue.type == KFD_QUEUE_SDMA || queue.type == KFD_QUEUE_SDMA_XGMI ||
             queue.type == KFD_QUEUE_SDMA_BY_ENG_ID;
    key.space = object.owner.process; /* queue_id is the process's own */
    key.handle = queue.queue;
    add_object(&key, &object, copies ? WORK_ABLE_CREATED_OTHER : WORK_ABLE_CREATED);
    return 0;
}

static __noinline int destroyed(__u64 pointer, __u32 size) {
    struct work_able_key owner = current_owner(0);
    struct work_object_key key = {.space = owner.process};
    __u32 queue;

    if (size < sizeof(queue)) {
        count_unknown(&owner, size);
        return 0;
    }
    if (bpf_probe_read_user(&queue, sizeof(queue), (void *)pointer) != 0) {
        count_able(&owner, WORK_ABLE_UNREAD);
        return 0;
    }
    key.handle = queue;
    end_object(&key);
    return 0;
}

static __always_inline int is_ours(__u32 command) {
    __u32 number = IOCTL_NUMBER(command);

    return number == KFD_CREATE_QUEUE || number == KFD_DESTROY_QUEUE;
}

static __noinline int asked(__u32 command, __u64 argument, long result) {
    __u32 size = IOCTL_SIZE(command);

    if (IOCTL_NUMBER(command) == KFD_CREATE_QUEUE)
        created(argument, size, result);
    else if (!result)
        destroyed(argument, size);
    return 0;
}

char _license[] SEC("license") = "GPL";
