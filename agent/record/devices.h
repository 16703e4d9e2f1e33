// Which accelerators this host has, and by which device nodes a tenant can hold them.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace tally {

struct DeviceNode {
    std::string path; // as a person would name it; recording goes by number alone
    uint32_t major = 0;
    uint32_t minor = 0;
    bool operator==(const DeviceNode &) const = default;
};

struct Device {
    std::string
        id; // stable across restarts; the first PCI address, DRM/accel path or node names it
    std::string model;
    std::vector<std::string> pci_addresses; // several behind one VFIO group
    std::string pci_id;                     // "10de:2330"
    std::string uuid;
    std::vector<DeviceNode> nodes;
    bool configured = false;
    bool operator==(const Device &) const = default;
};

// A character device that the configuration names.
struct ConfiguredDevice {
    std::string name;
    std::string node;
    bool operator==(const ConfiguredDevice &) const = default;
};

// Where to look; other roots let captured trees be read.
struct DeviceRoots {
    std::string sys = "/sys";
    std::string proc = "/proc";
};

// What the host has now, by id:
//   - PCI functions of class 0x0300 (VGA), 0x0302 (3D), 0x0380 (other display: AMD's MI200) and
//     0x1200 (processing accelerator; PCI Code and ID Assignment 1.x), and whatever else on PCI has
//     a DRM or accel node; each with these nodes, NVIDIA's by
//     /proc/driver/nvidia/gpus/<address>/information, and its VFIO group or device node
//   - DRM and accel nodes of devices that are not on PCI
//   - configured nodes, which must be character devices
// An accelerator without any node is listed too: it exists, and nobody can hold it.
struct Discovery {
    std::vector<Device> devices;
    std::vector<std::string> problems; // configured nodes that are not there, one line each
};
Discovery discover_devices(const DeviceRoots &roots,
                           const std::vector<ConfiguredDevice> &configured);

// Gives each device an index, for as long as recording goes on: a device that comes back keeps its
// own, and no other ever gets it.
class Inventory {
public:
    // The devices of an agent before this one, into whose totals their indices are written.
    void restore(std::map<uint32_t, Device> devices) { by_index_ = std::move(devices); }
    // Whether anything changed.
    bool update(const std::vector<Device> &present);

    const std::map<uint32_t, Device> &all() const { return by_index_; } // also those that left
    const std::vector<uint32_t> &present() const { return present_; }
    // Device number (bpf/wire.h) -> index, for the devices present.
    std::map<uint32_t, uint32_t> numbers() const;

private:
    std::map<uint32_t, Device> by_index_;
    std::vector<uint32_t> present_;
};

} // namespace tally
