// AMD GPUs as amdgpu and KFD show them in sysfs:
//
//   <function>/product_name, serial_number   of the board's FRU, where it has one
//       (Documentation/gpu/amdgpu/driver-misc.rst; amdgpu_fru_eeprom.c)
//   <function>/unique_id                     16 hex digits (the same; amdgpu_pm.c)
//   /sys/class/kfd/kfd/topology/nodes/<n>/properties   lines "name value", a node for each CPU, GPU
//       and compute partition (drivers/gpu/drm/amd/amdkfd/kfd_topology.c node_show):
//           simd_count          0: a CPU
//           location_id         bus, device and function; above them the partition's number
//           domain              of the PCI address
//           drm_render_minor    of the render node that goes with it
//           unique_id           as above, in decimal
//           gfx_target_version  90402: gfx942, a version's parts in two decimal digits each, the
//                               last in hex
//   /sys/class/kfd/kfd/topology/nodes/<n>/gpu_id   what KFD calls it in ioctls; 0: a CPU
//   /sys/class/kfd/kfd/dev                   the number of /dev/kfd
//
// The UUID is the unique id as ROCm writes it, "GPU-4fd3d0e445b9207e".
#pragma once

#include "agent/inventory/tree.h"

#include <map>

namespace tally {

struct KfdNode {
    std::string address; // "0000:c1:00.0"
    uint32_t render_minor = 0;
    uint64_t unique_id = 0;
    uint32_t gfx_version = 0;
    uint32_t gpu_id = 0;
};
using KfdNodes = std::vector<KfdNode>;

KfdNodes kfd_nodes(const DeviceRoots &roots);

// gpu_id -> the index of the device whose render node goes with it.
std::map<uint32_t, uint32_t> devices_by_gpu_id(const KfdNodes &nodes,
                                               const std::map<uint32_t, Device> &devices);

// `pci` is the function's directory in sysfs.
void describe_amd(Device &device, const std::filesystem::path &pci, const KfdNodes &nodes);
// A DRM device that is on no PCI bus: if it is a compute partition of a GPU, it becomes one.
void describe_partition(Device &device, const KfdNodes &nodes);
// /dev/kfd, where it leads to any GPU.
std::optional<Device> kfd_device(const DeviceRoots &roots, const KfdNodes &nodes);

} // namespace tally
