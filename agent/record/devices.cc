#include "agent/record/devices.h"

#include "agent/inventory/accel.h"
#include "agent/inventory/amd.h"
#include "agent/inventory/neuron.h"
#include "agent/inventory/nvidia.h"
#include "agent/inventory/pci.h"
#include "agent/inventory/vfio.h"
#include "bpf/wire.h"

#include <algorithm>
#include <map>
#include <set>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <utility>

namespace tally {

namespace {

// An attestation has room for more than twice as many, whatever is said of each.
constexpr size_t kMostDevices = 256;

Result<Device> configured_device(const ConfiguredDevice &wanted) {
    struct stat node = {};
    if (stat(wanted.node.c_str(), &node) != 0)
        return errno_error("configured device " + wanted.node);
    if (!S_ISCHR(node.st_mode))
        return Error{"configured device " + wanted.node + ": is not a character device"};
    Device device;
    device.id = "node:" + wanted.name;
    device.configured = true;
    device.nodes.push_back({wanted.node, major(node.st_rdev), minor(node.st_rdev)});
    return device;
}

bool shares_node(const Device &a, const Device &b) {
    return std::any_of(a.nodes.begin(), a.nodes.end(), [&](const DeviceNode &x) {
        return std::any_of(b.nodes.begin(), b.nodes.end(), [&](const DeviceNode &y) {
            return x.major == y.major && x.minor == y.minor;
        });
    });
}

// Functions behind one VFIO group can only be held together: they are one device.
void join(Device &device, Device other) {
    device.configured |= other.configured;
    if (!other.pci_addresses.empty()) {
        device.id += "+" + other.pci_addresses[0];
        device.pci_addresses.push_back(other.pci_addresses[0]);
    }
    if (("+" + device.pci_id + "+").find("+" + other.pci_id + "+") == std::string::npos &&
        !other.pci_id.empty())
        device.pci_id += "+" + other.pci_id;
    for (DeviceNode &node : other.nodes) {
        if (std::find(device.nodes.begin(), device.nodes.end(), node) == device.nodes.end())
            device.nodes.push_back(std::move(node));
    }
}

void add_or_join(std::vector<Device> &all, Device device) {
    auto other = std::find_if(all.begin(), all.end(),
                              [&](const Device &known) { return shares_node(known, device); });
    if (other == all.end())
        all.push_back(std::move(device));
    else
        join(*other, std::move(device));
}

// A part knows its parent by an address, which may be one of several; the rest it has from it.
void find_parents(std::vector<Device> &all) {
    std::map<std::string, const Device *> by_address;
    for (const Device &device : all) {
        for (const std::string &address : device.pci_addresses)
            by_address["pci:" + address] = &device;
    }
    for (Device &part : all) {
        auto parent = by_address.find(part.parent);
        if (parent == by_address.end() || parent->second == &part)
            continue;
        part.parent = parent->second->id;
        if (part.pci_id.empty())
            part.pci_id = parent->second->pci_id;
        if (part.vendor.empty())
            part.vendor = parent->second->vendor;
    }
}

std::vector<Device> found_devices(const DeviceRoots &roots) {
    std::vector<Device> functions = pci_devices(roots);
    std::vector<Device> others = neuron_devices(roots, functions);
    std::vector<Device> all;
    for (Device &device : functions) {
        std::vector<Device> instances = mig_instances(roots, device);
        add_or_join(all, std::move(device));
        for (Device &instance : instances)
            add_or_join(all, std::move(instance));
    }
    KfdNodes kfd = kfd_nodes(roots);
    for (auto &&more : {mediated_devices(roots), class_devices(roots, kfd), std::move(others)}) {
        for (const Device &device : more)
            add_or_join(all, device);
    }
    if (auto shared = kfd_device(roots, kfd))
        add_or_join(all, std::move(*shared));
    find_parents(all);
    return all;
}

} // namespace

Discovery discover_devices(const DeviceRoots &roots,
                           const std::vector<ConfiguredDevice> &configured) {
    Discovery found;
    found.devices = found_devices(roots);
    for (const ConfiguredDevice &wanted : configured) {
        auto device = configured_device(wanted);
        if (device)
            add_or_join(found.devices, std::move(*device));
        else
            found.problems.push_back(device.error().message + " (not recorded until it is there)");
    }
    return found;
}

void Inventory::restore(std::map<uint32_t, Device> devices) {
    by_index_ = std::move(devices);
    next_ = by_index_.empty() ? 0 : by_index_.rbegin()->first + 1;
}

bool Inventory::update(const std::vector<Device> &present) {
    bool changed = false;
    std::vector<uint32_t> indices;
    for (const Device &device : present) {
        auto known = std::find_if(by_index_.begin(), by_index_.end(),
                                  [&](const auto &entry) { return entry.second.id == device.id; });
        uint32_t index = known != by_index_.end() ? known->first : next_++;
        if (known == by_index_.end() || known->second != device) {
            by_index_[index] = device;
            changed = true;
        }
        indices.push_back(index);
    }
    std::set<uint32_t> here(indices.begin(), indices.end());
    for (auto &[index, device] : by_index_) {
        if (!here.contains(index))
            changed |= !std::exchange(device.absent, true);
    }
    changed |= indices != present_;
    present_ = std::move(indices);
    return changed;
}

void Inventory::forget(const std::set<uint32_t> &in_use) {
    if (by_index_.size() <= kMostDevices)
        return;
    std::erase_if(by_index_, [&](const auto &entry) {
        return entry.second.absent && !in_use.contains(entry.first);
    });
}

std::map<uint32_t, uint32_t> Inventory::numbers() const {
    std::map<uint32_t, uint32_t> numbers;
    for (uint32_t index : present_) {
        for (const DeviceNode &node : by_index_.at(index).nodes)
            numbers[WIRE_DEVICE_NUMBER(node.major, node.minor)] = index;
    }
    return numbers;
}

} // namespace tally
