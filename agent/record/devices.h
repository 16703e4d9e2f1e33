// Which accelerators this host has, in an auditor's terms, and by which device nodes a tenant can
// hold them. How each platform tells is in agent/inventory/, a file a platform.
//
// What holding a node means where it is not the whole of a device:
//
//   MIG          Each user of an instance has its GPU's /dev/nvidiaN open as well, and so has
//                whoever only watches. An instance is held by the capability node of its compute
//                instance, which nothing can be run on it without (MIG user guide, "MIG Device
//                Names": both access nodes are needed; the GPU instance's may serve several). While
//                a GPU has instances (Device.instances), who holds the GPU itself can see it and
//                re-divide it, but computes only on instances held: a hold of the GPU is no hold of
//                the compute that its instances have.
//   AMD          /dev/kfd is the way to all AMD GPUs: KFD runs nothing for a process on a GPU whose
//                render node it does not bring (kfd_ioctl_acquire_vm takes a file of it, and keeps
//                it). So a GPU is held by its DRM nodes, and /dev/kfd is listed apart, as shared:
//                who holds it could ask, and where only scans see, a render node that was closed
//                after KFD took it shows by nothing else. It is never one more device.
//   partition    An AMD GPU divided into compute partitions has a render node for each; the GPU's
//                own is the first of them.
//   VFIO         A group is one device: the functions behind it can only be held together.
#pragma once

#include "attest/statement.pb.h"
#include "base/result.h"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace tally {

namespace pb = tallystick::v1;

struct DeviceNode {
    std::string path; // as a person would name it; recording goes by number alone
    uint32_t major = 0;
    uint32_t minor = 0;
    bool operator==(const DeviceNode &) const = default;
};

// Fields as in statement.proto; all text is printable.
struct Device {
    std::string id;
    pb::Device::Kind kind = pb::Device::KIND_WHOLE;
    std::string parent; // another's id
    std::string vendor;
    std::string model;
    std::string profile;
    std::vector<std::string> pci_addresses; // several behind one VFIO group
    std::string pci_id;
    std::string subsystem_id;
    std::string uuid;
    std::string serial;
    std::optional<uint32_t> numa_node;
    std::string driver;
    std::string driver_version;
    std::string architecture;
    uint32_t instances = 0;
    std::vector<DeviceNode> nodes;
    bool configured = false;
    bool absent = false;
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

// What the host has now: what agent/inventory/ finds, and the configured nodes, which must be
// character devices. An accelerator without any node is listed too: it exists, and nobody can hold
// it. A function of the roots; whatever they hold, it ends, and reads no more than a few MiB.
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
    void restore(std::map<uint32_t, Device> devices);
    // Whether anything changed.
    bool update(const std::vector<Device> &present);
    // Forgets those that left and are not `in_use`, once there are so many that an attestation
    // could not hold them all: mediated devices come and go under ever new names.
    void forget(const std::set<uint32_t> &in_use);

    const std::map<uint32_t, Device> &all() const { return by_index_; } // also those that left
    const std::vector<uint32_t> &present() const { return present_; }
    // Device number (bpf/wire.h) -> index, for the devices present.
    std::map<uint32_t, uint32_t> numbers() const;

private:
    std::map<uint32_t, Device> by_index_;
    uint32_t next_ = 0;
    std::vector<uint32_t> present_;
};

} // namespace tally
