// What a program and NVIDIA's resource manager (RM) hand each other through /dev/nvidiactl, by
// number and size of each structure. Declared from the headers of NVIDIA/open-gpu-kernel-modules
// (MIT), read at the releases named; where there are several, they agree. RM refuses a size that it
// does not expect.
//
//   src/common/sdk/nvidia/inc/
//     nvos.h                                 560.28.03, 590.48.01
//     class/cl0080.h, cl2080.h, cl90ce.h     515.43.04
//     class/clc637.h                         two releases, which the copies do not name
//     ctrl/ctrl0000/ctrl0000gpu.h            575.51.02
//     ctrl/ctrl2080/ctrl2080tmr.h            515.43.04, 590.48.01
//   src/nvidia/arch/nvalloc/unix/include/
//     nv-ioctl.h                             515.43.04, 570.86.15
//     nv-ioctl-numbers.h, nv_escape.h, nv-unix-nvos-params-wrappers.h    515.43.04
//
// Handles are RM's, 32 bits; 0 is none. Pointers travel as 64-bit numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <sys/ioctl.h>

namespace tally {

// nv-ioctl-numbers.h, nv_escape.h: NV_IOCTL_MAGIC 'F'.
template <typename Parameters> constexpr unsigned long rm_request(unsigned number) {
    return _IOC(_IOC_READ | _IOC_WRITE, 'F', number, sizeof(Parameters));
}

struct RmVersion {        // nv_ioctl_rm_api_version_t
    uint32_t command = 0; // NV_RM_API_VERSION_CMD_STRICT: the same version, or EINVAL
    uint32_t reply = 0;   // 1: recognised
    char version[64] = {};
};
static_assert(sizeof(RmVersion) == 72 && offsetof(RmVersion, version) == 8);
inline constexpr unsigned long kRmCheckVersion = rm_request<RmVersion>(210);

struct RmCard { // nv_ioctl_card_info_t
    uint8_t valid = 0;
    uint32_t domain = 0;
    uint8_t bus = 0, slot = 0, function = 0;
    uint16_t vendor = 0, device = 0;
    uint32_t gpu = 0; // RM's number of it
    uint16_t interrupt = 0;
    uint64_t registers[2] = {}; // address and size, as the next
    uint64_t memory[2] = {};
    uint32_t minor = 0; // of /dev/nvidiaN
    uint8_t name[10] = {};
};
inline constexpr size_t kRmMostCards = 32; // NV_MAX_DEVICES, nvlimits.h
struct RmCards {
    RmCard cards[kRmMostCards];
};
static_assert(sizeof(RmCard) == 72 && offsetof(RmCard, domain) == 4);
static_assert(offsetof(RmCard, vendor) == 12 && offsetof(RmCard, gpu) == 16);
static_assert(offsetof(RmCard, registers) == 24 && offsetof(RmCard, minor) == 56);
inline constexpr unsigned long kRmCardInfo = rm_request<RmCards>(200);

struct RmFree { // NVOS00_PARAMETERS
    uint32_t root = 0, parent = 0, object = 0;
    uint32_t status = 0;
};
static_assert(sizeof(RmFree) == 16 && offsetof(RmFree, status) == 12);
inline constexpr unsigned long kRmFree = rm_request<RmFree>(0x29);

struct RmControl { // NVOS54_PARAMETERS
    uint32_t root = 0, object = 0, command = 0, flags = 0;
    uint64_t parameters = 0;
    uint32_t size = 0; // of what `parameters` points to
    uint32_t status = 0;
};
static_assert(sizeof(RmControl) == 32 && offsetof(RmControl, parameters) == 16);
static_assert(offsetof(RmControl, status) == 28);
inline constexpr unsigned long kRmControl = rm_request<RmControl>(0x2a);

struct RmAllocate { // NVOS21_PARAMETERS
    uint32_t root = 0, parent = 0, object = 0, object_class = 0;
    uint64_t parameters = 0;
    uint32_t size = 0;
    uint32_t status = 0;
};
static_assert(sizeof(RmAllocate) == 32 && offsetof(RmAllocate, parameters) == 16);
static_assert(offsetof(RmAllocate, status) == 28);
inline constexpr unsigned long kRmAllocate = rm_request<RmAllocate>(0x2b);

struct RmMap { // nv_ioctl_nvos33_parameters_with_fd
    uint32_t root = 0, device = 0, memory = 0;
    uint64_t offset = 0, length = 0, address = 0;
    uint32_t status = 0;
    uint32_t flags = 0; // NVOS33_FLAGS_ACCESS in bits 1:0
    int32_t fd = -1;    // which then maps it: offset 0, the same length
};
static_assert(sizeof(RmMap) == 56 && offsetof(RmMap, offset) == 16);
static_assert(offsetof(RmMap, status) == 40 && offsetof(RmMap, fd) == 48);
inline constexpr unsigned long kRmMap = rm_request<RmMap>(0x4e);
inline constexpr uint32_t kRmMapReadOnly = 1;

inline constexpr uint32_t kRmRootClass = 0x41; // NV01_ROOT_CLIENT, nvos.h

inline constexpr uint32_t kRmDeviceClass = 0x80; // NV01_DEVICE_0; parent: the root
struct RmDevice {                                // NV0080_ALLOC_PARAMETERS
    uint32_t instance = 0, share = 0, target_client = 0, target_device = 0, flags = 0;
    uint64_t space_size = 0, space_start = 0, space_limit = 0;
    uint32_t space_mode = 0;
};
static_assert(sizeof(RmDevice) == 56 && offsetof(RmDevice, space_size) == 24);

inline constexpr uint32_t kRmSubdeviceClass = 0x2080; // NV20_SUBDEVICE_0; parent: a device
struct RmSubdevice {                                  // NV2080_ALLOC_PARAMETERS
    uint32_t instance = 0;
};
static_assert(sizeof(RmSubdevice) == 4);

// Without it, a divided GPU (MIG) shows a program one instance at most. Administrators only, and
// one at a time in the whole system.
inline constexpr uint32_t kRmPartitionClass = 0xc637; // AMPERE_SMC_PARTITION_REF; of a subdevice
struct RmPartition {                                  // NVC637_ALLOCATION_PARAMETERS
    uint64_t capability = 0;
    uint32_t instance = 0xfffffffe; // NVC637_DEVICE_PROFILING_SWIZZID: all of them
};
static_assert(sizeof(RmPartition) == 16 && offsetof(RmPartition, instance) == 8);

inline constexpr uint32_t kRmMemoryClass = 0x90ce; // NV01_MEMORY_DEVICELESS; parent: the root
struct RmMemory {                                  // NV_MEMORY_ALLOCATION_PARAMS, from 545 on
    uint32_t owner = 0, type = 0, flags = 0, width = 0, height = 0, pitch = 0;
    uint32_t attributes = 1U << 29;  // NVOS32_ATTR_COHERENCY, bits 31:29: CACHED
    uint32_t attributes2 = 1U << 22; // NVOS32_ATTR2_PROTECTION_USER: READ_ONLY
    uint32_t format = 0, compression = 0, depth_compression = 0;
    uint64_t low = 0, high = 0, size = 0, alignment = 0, offset = 0, limit = 0, address = 0;
    uint32_t tag_offset = 0, space = 0, internal_flags = 0, tag = 0, numa_node = 0;
};
static_assert(sizeof(RmMemory) == 128 && offsetof(RmMemory, attributes) == 24);
static_assert(offsetof(RmMemory, size) == 64 && offsetof(RmMemory, numa_node) == 120);

inline constexpr uint32_t kRmGpuIdInfo = 0x205; // NV0000_CTRL_CMD_GPU_GET_ID_INFO_V2; of the root
struct RmGpuId {                                // NV0000_CTRL_GPU_GET_ID_INFO_V2_PARAMS
    uint32_t gpu = 0, flags = 0, device_instance = 0, subdevice_instance = 0;
    uint32_t sli = 0, board = 0, gpu_instance = 0, numa_node = 0;
};
static_assert(sizeof(RmGpuId) == 32 && offsetof(RmGpuId, device_instance) == 8);

inline constexpr uint32_t kRmGetTime = 0x20800403; // NV2080_CTRL_CMD_TIMER_GET_TIME; of a subdevice
struct RmTime {                                    // NV2080_CTRL_TIMER_GET_TIME_PARAMS
    uint64_t ns = 0;                               // the GPU's timer, in steps of 32 ns
};
static_assert(sizeof(RmTime) == 8);

} // namespace tally
