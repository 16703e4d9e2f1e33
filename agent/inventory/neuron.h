// AWS Inferentia and Trainium. The driver (aws-neuron-driver, neuron_cdev.c) makes a node for each
// chip under a major number of its own choice, on no bus:
//
//   /sys/class/neuron_device/neuron<N>/dev        the number of /dev/neuron<N>
//       .../info/architecture/device_name         "Trainium1" (AWS Neuron documentation, "Neuron
//       .../info/architecture/arch_type           Sysfs User Guide"; neuron_sysfs_metrics.c),
//       "NDv2"
//   /sys/module/neuron/version
//
// Which PCI function a node belongs to, the driver tells by an ioctl alone. So a node has no PCI
// address; it has the PCI id, where all the functions that the driver drives have the same, which
// then are not listed a second time by themselves.
#pragma once

#include "agent/inventory/tree.h"

namespace tally {

// Whether a PCI function, whose class does not tell, is one of these (1d0f:7x64, 7x65).
bool is_neuron(const std::filesystem::path &pci);

// The nodes' devices. Takes out of `pci` the functions that they stand for.
std::vector<Device> neuron_devices(const DeviceRoots &roots, std::vector<Device> &pci);

} // namespace tally
