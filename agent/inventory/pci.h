// PCI functions that are accelerators. Read below /sys/bus/pci/devices/<address>/, as documented in
// the kernel's Documentation/ABI/testing/sysfs-bus-pci and Documentation/PCI/sysfs-pci.rst:
//
//   class                 0x0300 (VGA), 0x0302 (3D), 0x0380 (other display: AMD's MI200), 0x1200
//                         (processing accelerator; PCI Code and ID Assignment 1.x): an accelerator;
//                         and whatever else has a DRM or accel node
//   vendor, device, subsystem_vendor, subsystem_device    "0x10de"
//   numa_node             "1"; "-1" where there is but one
//   driver                link to the driver that is bound; below it module/version (sysfs-module),
//                         which in-tree drivers lack: their version is the kernel's
//   physfn                of an SR-IOV virtual function: link to the function that it is a part of
//   drm/, accel/          the function's nodes (Documentation/gpu/drm-uapi.rst,
//   accel/introduction.rst)
#pragma once

#include "agent/inventory/tree.h"

namespace tally {

// With what inventory/nvidia.h, amd.h, accel.h and vfio.h know of each.
std::vector<Device> pci_devices(const DeviceRoots &roots);

// "/dev/dri/card0", "/dev/dri/renderD128", "/dev/accel/accel0" under a device's directory.
void add_class_nodes(std::vector<DeviceNode> &nodes, const std::filesystem::path &device);
// The driver that is bound to the device of this directory, and its version.
void describe_driver(Device &device, const std::filesystem::path &directory);
// "NVIDIA" for "10de"; empty for a vendor of no accelerator that we know.
std::string vendor_name(std::string_view id);

} // namespace tally
