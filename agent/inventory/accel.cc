#include "agent/inventory/accel.h"

#include "agent/inventory/pci.h"
#include "base/bytes.h"

#include <algorithm>

namespace tally {

namespace fs = std::filesystem;

bool is_control_node(std::string_view name) {
    return name.starts_with("accel_control") || name.starts_with("hl_control");
}

void describe_habana(Device &device, const DeviceRoots &roots, const fs::path &pci) {
    if (device.vendor != "Habana")
        return;
    device.model = read_attribute(pci / "device_type");
    for (const fs::path &node : list_directory(roots.sys + "/class/habanalabs")) {
        std::string name = node.filename().string();
        if (is_control_node(name) || read_attribute(node / "pci_addr") != pci.filename().string())
            continue;
        add_node(device.nodes, node, "/dev/" + name);
        if (device.model.empty())
            device.model = read_attribute(node / "device_type");
    }
}

std::vector<Device> class_devices(const DeviceRoots &roots, const KfdNodes &nodes) {
    std::vector<Device> found;
    for (const char *name : {"drm", "accel"}) {
        for (const fs::path &node : list_directory(roots.sys + "/class/" + name)) {
            std::error_code none;
            fs::path parent = fs::canonical(node / "device", none);
            if (none || link_name(parent / "subsystem") == "pci")
                continue;
            Device device;
            device.id = std::string(name) + ":" + printable(parent.filename().string());
            if (std::any_of(found.begin(), found.end(), [&](auto &d) { return d.id == device.id; }))
                continue;
            add_class_nodes(device.nodes, parent);
            if (device.nodes.empty())
                continue;
            describe_driver(device, parent);
            describe_partition(device, nodes);
            found.push_back(std::move(device));
        }
    }
    return found;
}

} // namespace tally
