#include "agent/inventory/pci.h"

#include "agent/inventory/accel.h"
#include "agent/inventory/amd.h"
#include "agent/inventory/neuron.h"
#include "agent/inventory/nvidia.h"
#include "agent/inventory/vfio.h"

namespace tally {

namespace fs = std::filesystem;

namespace {

// The PCI id list's vendors of what an auditor may be asked about.
struct Vendor {
    std::string_view id;
    const char *name;
};
constexpr Vendor kVendors[] = {{"10de", "NVIDIA"},  {"1002", "AMD"},    {"8086", "Intel"},
                               {"1da3", "Habana"},  {"1d0f", "Amazon"}, {"1ae0", "Google"},
                               {"17cb", "Qualcomm"}};

// "0000:3b:00.0"; domains above 0xffff are Linux's own (Intel VMD).
bool is_address(std::string_view name) {
    size_t domain = name.find(':');
    if (domain == std::string_view::npos || domain < 4 || domain > 8 || name.size() != domain + 8)
        return false;
    for (size_t i = 0; i < name.size(); i++) {
        bool separator = i == domain || i == domain + 3;
        bool fine = separator         ? name[i] == ':'
                    : i == domain + 6 ? name[i] == '.'
                                      : std::string_view("0123456789abcdef").find(name[i]) !=
                                            std::string_view::npos;
        if (!fine)
            return false;
    }
    return true;
}

std::string id_of(const fs::path &pci, const char *vendor, const char *device) {
    std::string first = read_hex(pci / vendor);
    std::string second = read_hex(pci / device);
    return first.size() == 4 && second.size() == 4 ? first + ":" + second : std::string();
}

bool is_accelerator(const fs::path &pci) {
    std::string code = read_attribute(pci / "class"); // class, subclass, programming interface
    for (const char *wanted : {"0x0300", "0x0302", "0x0380", "0x1200"}) {
        if (code.starts_with(wanted))
            return true;
    }
    std::error_code none;
    return fs::exists(pci / "drm", none) || fs::exists(pci / "accel", none) || is_neuron(pci);
}

Device pci_device(const DeviceRoots &roots, const fs::path &pci, const KfdNodes &kfd) {
    Device device;
    std::string address = pci.filename().string();
    device.id = "pci:" + address;
    device.pci_addresses = {address};
    device.pci_id = id_of(pci, "vendor", "device");
    device.vendor = vendor_name(std::string_view(device.pci_id).substr(0, 4));
    device.subsystem_id = id_of(pci, "subsystem_vendor", "subsystem_device");
    device.numa_node = read_number(pci / "numa_node");
    describe_driver(device, pci);
    if (std::string parent = link_name(pci / "physfn"); is_address(parent)) {
        device.kind = pb::Device::KIND_VIRTUAL_FUNCTION;
        device.parent = "pci:" + parent;
    }
    add_class_nodes(device.nodes, pci);
    describe_nvidia(device, roots, pci);
    describe_amd(device, pci, kfd);
    describe_habana(device, roots, pci);
    add_vfio_nodes(device.nodes, roots, pci);
    return device;
}

} // namespace

std::vector<Device> pci_devices(const DeviceRoots &roots) {
    KfdNodes kfd = kfd_nodes(roots);
    std::vector<Device> found;
    for (const fs::path &pci : list_directory(roots.sys + "/bus/pci/devices")) {
        if (is_address(pci.filename().string()) && is_accelerator(pci))
            found.push_back(pci_device(roots, pci, kfd));
    }
    return found;
}

void add_class_nodes(std::vector<DeviceNode> &nodes, const fs::path &device) {
    for (const fs::path &node : list_directory(device / "drm"))
        add_node(nodes, node, "/dev/dri/" + node.filename().string());
    for (const fs::path &node : list_directory(device / "accel")) {
        if (!is_control_node(node.filename().string()))
            add_node(nodes, node, "/dev/accel/" + node.filename().string());
    }
}

void describe_driver(Device &device, const fs::path &directory) {
    device.driver = link_name(directory / "driver");
    device.driver_version = read_attribute(directory / "driver/module/version");
}

std::string vendor_name(std::string_view id) {
    for (const Vendor &vendor : kVendors) {
        if (vendor.id == id)
            return vendor.name;
    }
    return {};
}

} // namespace tally
