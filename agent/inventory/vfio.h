// Devices handed to virtual machines, and whoever else drives a device from user space:
//
//   <device>/iommu_group             link to its group; /dev/vfio/<group> has the number that
//                                    /sys/class/vfio/<group>/dev says
//   <device>/vfio-dev/vfio<N>/dev    from Linux 6.6: /dev/vfio/devices/vfio<N>, the device by
//   itself
//                                    (Documentation/ABI/testing/sysfs-devices-vfio-dev)
//   /sys/bus/mdev/devices/<UUID>     a mediated device: a link into the directory of the device it
//                                    is a part of; in it mdev_type, a link to its type's directory,
//                                    and there "name"
//                                    (Documentation/ABI/testing/sysfs-bus-vfio-mdev)
#pragma once

#include "agent/inventory/tree.h"

namespace tally {

void add_vfio_nodes(std::vector<DeviceNode> &nodes, const DeviceRoots &roots,
                    const std::filesystem::path &device);

std::vector<Device> mediated_devices(const DeviceRoots &roots);

} // namespace tally
