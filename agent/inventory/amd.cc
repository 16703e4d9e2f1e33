#include "agent/inventory/amd.h"

#include "base/bytes.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace tally {

namespace fs = std::filesystem;

namespace {

constexpr uint32_t kDrmMajor = 226; // Documentation/admin-guide/devices.txt
constexpr size_t kProperties = 65536;
constexpr const char *kKfd = "/class/kfd/kfd";

std::string hex(const char *format, uint64_t value) {
    std::array<char, 24> text{};
    std::snprintf(text.data(), text.size(), format, static_cast<unsigned long long>(value));
    return text.data();
}

std::map<std::string, uint64_t, std::less<>> read_properties(const fs::path &path) {
    std::map<std::string, uint64_t, std::less<>> properties;
    for_each_line(path, kProperties, [&](std::string_view line) {
        std::string_view name = take_until(line, ' ');
        if (auto value = parse_decimal(line))
            properties.emplace(name, *value);
    });
    return properties;
}

// PCI_DEVID (include/linux/pci.h): bus, device and function in 8, 5 and 3 bits.
std::string address_of(uint64_t domain, uint64_t location) {
    return hex("%04llx", domain & 0xffffffff) + hex(":%02llx", location >> 8 & 0xff) +
           hex(":%02llx", location >> 3 & 0x1f) + hex(".%llx", location & 7);
}

std::string gfx_name(uint32_t version) {
    if (version == 0)
        return {};
    return "gfx" + std::to_string(version / 10000) + hex("%llx", version / 100 % 100) +
           hex("%llx", version % 100);
}

// How many parts the GPU at this address is divided into; 0: it is whole.
uint32_t parts_of(const KfdNodes &nodes, const std::string &address) {
    auto count = std::count_if(nodes.begin(), nodes.end(),
                               [&](const KfdNode &node) { return node.address == address; });
    return count > 1 ? static_cast<uint32_t>(count) : 0;
}

const KfdNode *node_of(const Device &device, const KfdNodes &nodes) {
    for (const KfdNode &node : nodes) {
        for (const DeviceNode &file : device.nodes) {
            if (file.major == kDrmMajor && file.minor == node.render_minor)
                return &node;
        }
    }
    return nullptr;
}

} // namespace

KfdNodes kfd_nodes(const DeviceRoots &roots) {
    KfdNodes found;
    for (const fs::path &node : list_directory(roots.sys + kKfd + "/topology/nodes")) {
        auto properties = read_properties(node / "properties");
        if (properties["simd_count"] == 0)
            continue;
        found.push_back({address_of(properties["domain"], properties["location_id"]),
                         static_cast<uint32_t>(properties["drm_render_minor"]),
                         properties["unique_id"],
                         static_cast<uint32_t>(properties["gfx_target_version"]),
                         read_number(node / "gpu_id").value_or(0)});
    }
    return found;
}

std::map<uint32_t, uint32_t> devices_by_gpu_id(const KfdNodes &nodes,
                                               const std::map<uint32_t, Device> &devices) {
    std::map<uint32_t, uint32_t> found;
    for (const auto &[index, device] : devices) {
        const KfdNode *node = device.absent ? nullptr : node_of(device, nodes);
        if (node != nullptr)
            found[node->gpu_id] = index;
    }
    return found;
}

void describe_amd(Device &device, const fs::path &pci, const KfdNodes &nodes) {
    if (device.vendor != "AMD")
        return;
    device.model = read_attribute(pci / "product_name");
    device.serial = read_attribute(pci / "serial_number");
    std::string unique = read_hex(pci / "unique_id");
    for (const KfdNode &node : nodes) {
        if (node.address != device.pci_addresses[0])
            continue;
        device.architecture = gfx_name(node.gfx_version);
        if (unique.empty() && node.unique_id != 0)
            unique = hex("%016llx", node.unique_id);
    }
    device.instances = parts_of(nodes, device.pci_addresses[0]);
    if (unique.find_first_not_of('0') != std::string::npos) // a virtual function's may be zero
        device.uuid = "GPU-" + unique;
}

void describe_partition(Device &device, const KfdNodes &nodes) {
    const KfdNode *node = node_of(device, nodes);
    if (node == nullptr)
        return;
    device.kind = pb::Device::KIND_PARTITION;
    device.parent = "pci:" + node->address;
    device.vendor = "AMD";
    device.architecture = gfx_name(node->gfx_version);
    device.instances = parts_of(nodes, node->address);
}

std::optional<Device> kfd_device(const DeviceRoots &roots, const KfdNodes &nodes) {
    Device kfd;
    add_node(kfd.nodes, roots.sys + kKfd, "/dev/kfd");
    if (nodes.empty() || kfd.nodes.empty())
        return std::nullopt;
    kfd.id = "kfd";
    kfd.kind = pb::Device::KIND_SHARED;
    kfd.vendor = "AMD";
    kfd.model = "KFD, the way to all AMD GPUs";
    return kfd;
}

} // namespace tally
