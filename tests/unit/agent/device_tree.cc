#include "tests/unit/agent/device_tree.h"

#include <fstream>

namespace tally {

namespace fs = std::filesystem;

namespace {

std::string unescaped(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] != '\\') {
            out += text[i];
            continue;
        }
        char kind = text.at(++i);
        if (kind == 'x') {
            out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
            i += 2;
        } else {
            out += kind == 'n' ? '\n' : kind == 't' ? '\t' : kind;
        }
    }
    return out + "\n";
}

} // namespace

DeviceTree::DeviceTree() {
    directory("sys/bus/pci/devices");
    directory("proc");
}

DeviceTree::DeviceTree(const std::string &name) : DeviceTree() {
    std::string path = "tests/vectors/devices/" + name + ".tree";
    std::ifstream tree(path);
    EXPECT_TRUE(tree) << path << ": run from the repository's root";
    std::string line;
    while (std::getline(tree, line)) {
        if (!line.empty() && line[0] != '#')
            unpack(line);
    }
}

void DeviceTree::unpack(std::string_view line) {
    size_t equals = line.find(" = ");
    size_t arrow = line.find(" -> ");
    if (arrow < equals)
        link(std::string(line.substr(0, arrow)), std::string(line.substr(arrow + 4)));
    else if (equals != std::string_view::npos)
        file(std::string(line.substr(0, equals)), unescaped(line.substr(equals + 3)));
    else if (line.ends_with('/'))
        directory(std::string(line));
    else
        ADD_FAILURE() << "neither file, link nor directory: " << line;
}

void DeviceTree::file(const std::string &name, std::string_view contents) {
    fs::path full = path() + "/" + name;
    fs::create_directories(full.parent_path());
    std::ofstream(full, std::ios::binary) << contents;
}

void DeviceTree::link(const std::string &name, const std::string &target) {
    fs::path full = path() + "/" + name;
    fs::create_directories(full.parent_path());
    fs::create_symlink(target, full);
}

void DeviceTree::directory(const std::string &name) {
    fs::create_directories(path() + "/" + name);
}

void DeviceTree::remove(const std::string &name) {
    fs::remove_all(path() + "/" + name);
}

std::string described(const Device &device) {
    std::string text = device.id;
    auto add = [&](const char *name, const std::string &value) {
        if (!value.empty())
            text += std::string(" | ") + name + " " + value;
    };
    static const char *const kKinds[] = {"?", "", "VF", "mdev", "MIG", "partition", "shared"};
    add("is", kKinds[device.kind]);
    add("of", device.parent);
    add("profile", device.profile);
    add("vendor", device.vendor);
    add("model", device.model);
    std::string addresses;
    for (const std::string &address : device.pci_addresses)
        addresses += (addresses.empty() ? "" : " ") + address;
    add("at", addresses);
    add("id", device.pci_id);
    add("subsystem", device.subsystem_id);
    add("uuid", device.uuid);
    add("serial", device.serial);
    add("numa", device.numa_node ? std::to_string(*device.numa_node) : "");
    add("driver", device.driver);
    add("version", device.driver_version);
    add("arch", device.architecture);
    add("instances", device.instances == 0 ? "" : std::to_string(device.instances));
    for (const DeviceNode &node : device.nodes)
        add("node",
            node.path + " " + std::to_string(node.major) + ":" + std::to_string(node.minor));
    if (device.configured || device.absent)
        text += device.configured ? " | configured" : " | absent";
    return text;
}

} // namespace tally
