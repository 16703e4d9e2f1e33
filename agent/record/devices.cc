#include "agent/record/devices.h"

#include "base/bytes.h"
#include "base/durable.h"
#include "bpf/wire.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace tally {

namespace fs = std::filesystem;

namespace {

constexpr uint32_t kNvidiaMajor = 195; // Documentation/admin-guide/devices.txt

std::vector<fs::path> entries(const fs::path &directory) {
    std::error_code none;
    std::vector<fs::path> found;
    for (fs::directory_iterator at(directory, none), end; !none && at != end; at.increment(none))
        found.push_back(at->path());
    std::sort(found.begin(), found.end());
    return found;
}

// The first line of a sysfs attribute; empty if it is not there.
std::string attribute(const fs::path &path) {
    auto contents = read_text(path.string(), 65536);
    if (!contents)
        return {};
    std::string_view rest = *contents;
    return std::string(take_until(rest, '\n'));
}

std::string link_name(const fs::path &link) {
    std::error_code none;
    return fs::read_symlink(link, none).filename().string();
}

// A node whose number is in a sysfs "dev" attribute, "226:128".
void add_node(std::vector<DeviceNode> &nodes, const fs::path &sysfs, const std::string &path) {
    std::string numbers = attribute(sysfs / "dev");
    std::string_view rest = numbers;
    auto major = parse_decimal(take_until(rest, ':'));
    auto minor = parse_decimal(rest);
    if (major && minor)
        nodes.push_back({path, static_cast<uint32_t>(*major), static_cast<uint32_t>(*minor)});
}

// "/dev/dri/card0", "/dev/dri/renderD128", "/dev/accel/accel0" under a device's sysfs directory.
void add_class_nodes(std::vector<DeviceNode> &nodes, const fs::path &device) {
    for (const fs::path &node : entries(device / "drm"))
        add_node(nodes, node, "/dev/dri/" + node.filename().string());
    for (const fs::path &node : entries(device / "accel"))
        add_node(nodes, node, "/dev/accel/" + node.filename().string());
}

// /proc/driver/nvidia/gpus/<address>/information: "Key: \t value" lines.
void add_nvidia(Device &device, const DeviceRoots &roots, const std::string &address) {
    auto information =
        read_text(roots.proc + "/driver/nvidia/gpus/" + address + "/information", 65536);
    if (!information)
        return;
    std::string_view rest = *information;
    while (!rest.empty()) {
        std::string_view line = take_until(rest, '\n');
        std::string_view key = take_until(line, ':');
        line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
        if (key == "Model")
            device.model = line;
        else if (key == "GPU UUID")
            device.uuid = line;
        else if (auto minor = parse_decimal(line); key == "Device Minor" && minor)
            device.nodes.push_back({"/dev/nvidia" + std::to_string(*minor), kNvidiaMajor,
                                    static_cast<uint32_t>(*minor)});
    }
}

// The group node and, from Linux 6.6, the device's own: both lead to the same function.
void add_vfio(Device &device, const DeviceRoots &roots, const fs::path &pci) {
    std::string group = link_name(pci / "iommu_group");
    if (!group.empty())
        add_node(device.nodes, roots.sys + "/class/vfio/" + group, "/dev/vfio/" + group);
    for (const fs::path &node : entries(pci / "vfio-dev"))
        add_node(device.nodes, node, "/dev/vfio/devices/" + node.filename().string());
}

bool is_accelerator(const fs::path &pci) {
    std::string code = attribute(pci / "class"); // class, subclass, programming interface
    for (const char *wanted : {"0x0300", "0x0302", "0x0380", "0x1200"}) {
        if (code.starts_with(wanted))
            return true;
    }
    std::error_code none;
    return fs::exists(pci / "drm", none) || fs::exists(pci / "accel", none);
}

std::string without_0x(const std::string &hex) {
    return hex.starts_with("0x") ? hex.substr(2) : hex;
}

std::vector<Device> pci_devices(const DeviceRoots &roots) {
    std::vector<Device> found;
    for (const fs::path &pci : entries(roots.sys + "/bus/pci/devices")) {
        if (!is_accelerator(pci))
            continue;
        std::string address = pci.filename().string();
        Device device;
        device.id = "pci:" + address;
        device.pci_addresses = {address};
        device.pci_id =
            without_0x(attribute(pci / "vendor")) + ":" + without_0x(attribute(pci / "device"));
        add_class_nodes(device.nodes, pci);
        add_nvidia(device, roots, address);
        add_vfio(device, roots, pci);
        found.push_back(std::move(device));
    }
    return found;
}

// DRM and accel class devices whose parent is on no PCI bus: SoC accelerators, vgem.
std::vector<Device> other_class_devices(const DeviceRoots &roots) {
    std::vector<Device> found;
    for (const char *name : {"drm", "accel"}) {
        for (const fs::path &node : entries(roots.sys + "/class/" + name)) {
            std::error_code none;
            fs::path parent = fs::canonical(node / "device", none);
            if (none || link_name(parent / "subsystem") == "pci")
                continue;
            std::string id = std::string(name) + ":" + parent.filename().string();
            if (std::any_of(found.begin(), found.end(), [&](auto &d) { return d.id == id; }))
                continue;
            Device device;
            device.id = id;
            add_class_nodes(device.nodes, parent);
            if (!device.nodes.empty())
                found.push_back(std::move(device));
        }
    }
    return found;
}

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
void add_or_join(std::vector<Device> &all, Device device) {
    for (Device &other : all) {
        if (!shares_node(other, device))
            continue;
        other.configured |= device.configured;
        if (!device.pci_addresses.empty()) {
            other.id += "+" + device.pci_addresses[0];
            other.pci_addresses.push_back(device.pci_addresses[0]);
        }
        for (DeviceNode &node : device.nodes) {
            if (std::find(other.nodes.begin(), other.nodes.end(), node) == other.nodes.end())
                other.nodes.push_back(std::move(node));
        }
        return;
    }
    all.push_back(std::move(device));
}

} // namespace

Discovery discover_devices(const DeviceRoots &roots,
                           const std::vector<ConfiguredDevice> &configured) {
    Discovery found;
    std::vector<Device> &all = found.devices;
    for (Device &device : pci_devices(roots))
        add_or_join(all, std::move(device));
    for (Device &device : other_class_devices(roots))
        add_or_join(all, std::move(device));
    for (const ConfiguredDevice &wanted : configured) {
        auto device = configured_device(wanted);
        if (device)
            add_or_join(all, std::move(*device));
        else
            found.problems.push_back(device.error().message + " (not recorded until it is there)");
    }
    return found;
}

bool Inventory::update(const std::vector<Device> &present) {
    bool changed = false;
    std::vector<uint32_t> indices;
    for (const Device &device : present) {
        auto known = std::find_if(by_index_.begin(), by_index_.end(),
                                  [&](const auto &entry) { return entry.second.id == device.id; });
        uint32_t next = by_index_.empty() ? 0 : by_index_.rbegin()->first + 1;
        uint32_t index = known != by_index_.end() ? known->first : next;
        if (known == by_index_.end() || known->second != device) {
            by_index_[index] = device;
            changed = true;
        }
        indices.push_back(index);
    }
    changed |= indices != present_;
    present_ = std::move(indices);
    return changed;
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
