#include "agent/inventory/neuron.h"

#include "base/bytes.h"

#include <algorithm>
#include <set>

namespace tally {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kAmazon = "1d0f";

bool is_neuron_id(std::string_view vendor, std::string_view device) {
    return vendor == kAmazon && device.size() == 4 && device[0] == '7' &&
           (device.ends_with("64") || device.ends_with("65"));
}

bool is_driven(const Device &device) {
    std::string_view id = device.pci_id;
    std::string_view vendor = take_until(id, ':');
    return is_neuron_id(vendor, id) && device.driver.starts_with("neuron");
}

} // namespace

bool is_neuron(const fs::path &pci) {
    return is_neuron_id(read_hex(pci / "vendor"), read_hex(pci / "device"));
}

std::vector<Device> neuron_devices(const DeviceRoots &roots, std::vector<Device> &pci) {
    std::vector<Device> found;
    for (const fs::path &node : list_directory(roots.sys + "/class/neuron_device")) {
        Device device;
        std::string name = printable(node.filename().string());
        add_node(device.nodes, node, "/dev/" + name);
        if (device.nodes.empty())
            continue;
        device.id = "neuron:" + name;
        device.vendor = "Amazon";
        device.model = read_attribute(node / "info/architecture/device_name");
        device.architecture = read_attribute(node / "info/architecture/arch_type");
        device.driver = "neuron";
        device.driver_version = read_attribute(roots.sys + "/module/neuron/version");
        found.push_back(std::move(device));
    }
    std::set<std::string> ids;
    for (const Device &function : pci) {
        if (is_driven(function))
            ids.insert(function.pci_id);
    }
    if (found.empty() || ids.size() != 1)
        return found;
    for (Device &device : found)
        device.pci_id = *ids.begin();
    std::erase_if(pci, is_driven);
    return found;
}

} // namespace tally
