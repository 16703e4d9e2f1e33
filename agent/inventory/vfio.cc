#include "agent/inventory/vfio.h"

#include "base/bytes.h"

namespace tally {

namespace fs = std::filesystem;

void add_vfio_nodes(std::vector<DeviceNode> &nodes, const DeviceRoots &roots,
                    const fs::path &device) {
    std::string group = link_name(device / "iommu_group");
    if (!group.empty())
        add_node(nodes, roots.sys + "/class/vfio/" + group, "/dev/vfio/" + group);
    for (const fs::path &node : list_directory(device / "vfio-dev"))
        add_node(nodes, node, "/dev/vfio/devices/" + node.filename().string());
}

std::vector<Device> mediated_devices(const DeviceRoots &roots) {
    std::vector<Device> found;
    for (const fs::path &mdev : list_directory(roots.sys + "/bus/mdev/devices")) {
        std::error_code none;
        fs::path parent = fs::canonical(mdev, none).parent_path();
        if (none)
            continue;
        Device device;
        device.id = "mdev:" + printable(mdev.filename().string());
        device.kind = pb::Device::KIND_MEDIATED;
        device.parent = "pci:" + printable(parent.filename().string());
        device.profile = link_name(mdev / "mdev_type");
        if (std::string name = read_attribute(mdev / "mdev_type/name"); !name.empty())
            device.profile += " " + name;
        device.driver = link_name(mdev / "driver");
        add_vfio_nodes(device.nodes, roots, mdev);
        found.push_back(std::move(device));
    }
    return found;
}

} // namespace tally
