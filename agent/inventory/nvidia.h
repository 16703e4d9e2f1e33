// NVIDIA GPUs as their driver shows them in procfs and sysfs. The formats are those of
// NVIDIA/open-gpu-kernel-modules, kernel-open/nvidia/:
//
//   /proc/driver/nvidia/gpus/<address>/information   nv-procfs.c nv_procfs_read_gpu_info: lines
//       "Model: \t\t NVIDIA H100 80GB HBM3", "GPU UUID: \t GPU-...", "Device Minor: \t 3". The UUID
//       has question marks until the GPU was first used. The GPU's node is 195:<minor>.
//   /proc/driver/nvidia/version   nv_procfs_read_version: "NVRM version: NVIDIA UNIX Open Kernel
//       Module for x86_64  570.195.03  Release Build ..."; for a module without a version in sysfs
//   /proc/driver/nvidia/capabilities/gpu<minor>/mig/gi<G>/ci<C>/access   nv-caps.c: a directory for
//       each MIG instance that there is, made and removed as it is; in the file "DeviceFileMinor:
//       12", its minor number of /dev/nvidia-caps/nvidia-cap12. mig-minors lists all that could be,
//       so it is not read. The major number is that of "nvidia-caps" in /proc/devices.
//   <function>/nvidia/current_vgpu_type   of a virtual function: the number of its vGPU type, 0 if
//       it has none (NVIDIA vGPU user guide, "Creating an NVIDIA vGPU on a Linux with KVM
//       Hypervisor that Uses a Vendor-Specific VFIO Framework")
//
// Without the vendor's library there is no telling an instance's profile (1g.10gb) or UUID.
#pragma once

#include "agent/inventory/tree.h"

namespace tally {

// `pci` is the function's directory in sysfs.
void describe_nvidia(Device &device, const DeviceRoots &roots, const std::filesystem::path &pci);

// The GPU's MIG instances; counts them in the GPU and in each.
std::vector<Device> mig_instances(const DeviceRoots &roots, Device &gpu);

// Which MIG instances there are, in one word to compare with the last: no uevent tells of them,
// nv-caps.c only makes directories. Empty where the driver has no capabilities.
std::string mig_layout(const DeviceRoots &roots);

} // namespace tally
