#include "agent/inventory/nvidia.h"

#include "base/bytes.h"

#include <algorithm>

namespace tally {

namespace fs = std::filesystem;

namespace {

constexpr uint32_t kNvidiaMajor = 195; // Documentation/admin-guide/devices.txt
constexpr size_t kInformation = 65536;
constexpr size_t kLongestText = 128;
constexpr const char *kCapabilities = "/driver/nvidia/capabilities";

// "Key: \t value": false if the line has another key.
bool take_value(std::string_view line, std::string_view key, std::string &value) {
    if (take_until(line, ':') != key)
        return false;
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    value = printable(line, kLongestText);
    return true;
}

std::optional<uint32_t> read_cap_minor(const fs::path &access) {
    std::optional<uint32_t> minor;
    for_each_line(access, kInformation, [&](std::string_view line) {
        std::string value;
        if (take_value(line, "DeviceFileMinor", value)) {
            if (auto number = parse_decimal(value); number && *number <= 0xfffff)
                minor = static_cast<uint32_t>(*number);
        }
    });
    return minor;
}

// The first word that looks like one: digits and dots, "570.195.03".
std::string driver_version(const DeviceRoots &roots) {
    std::string version;
    for_each_line(roots.proc + "/driver/nvidia/version", kInformation, [&](std::string_view line) {
        if (!line.starts_with("NVRM version:"))
            return;
        while (!line.empty() && version.empty()) {
            std::string_view word = take_until(line, ' ');
            if (word.find('.') != std::string_view::npos &&
                word.find_first_not_of("0123456789.") == std::string_view::npos)
                version = word.substr(0, kLongestText);
        }
    });
    return version;
}

// The entries "<prefix><number>" of a directory.
std::vector<std::string> numbered(const std::string &directory, std::string_view prefix) {
    std::vector<std::string> names = list_names(directory);
    std::erase_if(names, [&](std::string_view name) {
        return !name.starts_with(prefix) || !parse_decimal(name.substr(prefix.size()));
    });
    return names;
}

std::string mig_directory(const DeviceRoots &roots, const std::string &gpu) {
    return roots.proc + kCapabilities + "/" + gpu + "/mig/";
}

} // namespace

void describe_nvidia(Device &device, const DeviceRoots &roots, const fs::path &pci) {
    std::string minor;
    for_each_line(roots.proc + "/driver/nvidia/gpus/" + pci.filename().string() + "/information",
                  kInformation, [&](std::string_view line) {
                      take_value(line, "Model", device.model) ||
                          take_value(line, "GPU UUID", device.uuid) ||
                          take_value(line, "Device Minor", minor);
                  });
    if (auto number = parse_decimal(minor); number && *number <= 0xfffff)
        device.nodes.push_back(
            {"/dev/nvidia" + minor, kNvidiaMajor, static_cast<uint32_t>(*number)});
    if (device.driver == "nvidia" && device.driver_version.empty())
        device.driver_version = driver_version(roots);
    std::string type = read_attribute(pci / "nvidia/current_vgpu_type");
    if (!type.empty() && type != "0")
        device.profile = "vGPU type " + type;
}

std::vector<Device> mig_instances(const DeviceRoots &roots, Device &gpu) {
    auto node = std::find_if(gpu.nodes.begin(), gpu.nodes.end(),
                             [](const DeviceNode &n) { return n.major == kNvidiaMajor; });
    if (node == gpu.nodes.end())
        return {};
    auto major = character_major(roots, "nvidia-caps");
    std::string mig = mig_directory(roots, "gpu" + std::to_string(node->minor));
    std::vector<Device> found;
    for (const std::string &gi : numbered(mig, "gi")) {
        for (const std::string &ci : numbered(mig + gi, "ci")) {
            Device instance;
            instance.kind = pb::Device::KIND_MIG_INSTANCE;
            instance.parent = gpu.id;
            instance.profile.append(gi).append("/").append(ci);
            instance.id = "mig:" + gpu.pci_addresses[0];
            instance.id.append("/").append(instance.profile);
            instance.model = gpu.model + " MIG instance";
            instance.pci_id = gpu.pci_id;
            auto minor = read_cap_minor(fs::path(mig + instance.profile) / "access");
            if (major && minor)
                instance.nodes.push_back(
                    {"/dev/nvidia-caps/nvidia-cap" + std::to_string(*minor), *major, *minor});
            found.push_back(std::move(instance));
        }
    }
    gpu.instances = static_cast<uint32_t>(found.size());
    for (Device &instance : found)
        instance.instances = gpu.instances;
    return found;
}

std::string mig_layout(const DeviceRoots &roots) {
    std::string layout;
    for (const std::string &gpu : numbered(roots.proc + kCapabilities, "gpu")) {
        std::string mig = mig_directory(roots, gpu);
        layout += gpu;
        for (const std::string &gi : numbered(mig, "gi")) {
            layout += "/" + gi;
            for (const std::string &ci : numbered(mig + gi, "ci"))
                layout += "." + ci;
        }
        layout += " ";
    }
    return layout;
}

} // namespace tally
