// Devices by their class: what is on no PCI bus, and Habana's.
//
//   /sys/class/drm/<node>/device, /sys/class/accel/<node>/device   link to the device (SoC
//       accelerators, vgem, AMD's compute partitions); major 226 and 261
//       (Documentation/admin-guide/devices.txt), but the numbers are read from sysfs
//   Habana, Documentation/ABI/testing/sysfs-driver-habanalabs:
//       <function>/device_type             "GAUDI2"; the class is accel from Linux 6.4 on
//       /sys/class/habanalabs/hl<N>        before, and in Intel's own driver packages: /dev/hl<N>,
//           with device_type, and pci_addr "0000:b3:00.0" to tell whose it is
//
// The control nodes beside them (accel_controlD<N>, hl_controlD<N>) answer questions and run
// nothing (habanalabs_ioctl.c hl_ioctl_control): no hold.
#pragma once

#include "agent/inventory/amd.h"

namespace tally {

bool is_control_node(std::string_view name);

// `pci` is the function's directory in sysfs.
void describe_habana(Device &device, const DeviceRoots &roots, const std::filesystem::path &pci);

// Whatever has a DRM or accel node and no PCI function.
std::vector<Device> class_devices(const DeviceRoots &roots, const KfdNodes &nodes);

} // namespace tally
