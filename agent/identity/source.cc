#include "agent/identity/source.h"

#include "agent/identity/sources/sources.h"

namespace tally {

namespace {

struct BuiltIn {
    const char *name;
    std::unique_ptr<Source> (*make)(const std::string &root);
    bool movable; // takes a root of its own
};
// A platform that builds on another's units stands before it.
constexpr BuiltIn kBuiltIn[] = {
    {"kubernetes", kubernetes_source, true},
    {"libvirt", libvirt_source, false},
    {"firecracker", firecracker_source, true},
    {"proxmox", proxmox_source, false},
    {"docker", docker_source, true},
    {"podman", podman_source, false},
    {"containerd", containerd_source, false},
    {"slurm", slurm_source, false},
    {"lxc", lxc_source, false},
    {"machine", machine_source, false},
    {"systemd", systemd_source, false},
};

} // namespace

const std::vector<std::string> &source_names() {
    static const std::vector<std::string> kNames = [] {
        std::vector<std::string> names;
        for (const BuiltIn &each : kBuiltIn)
            names.emplace_back(each.name);
        return names;
    }();
    return kNames;
}

std::unique_ptr<Source> make_source(const std::string &name) {
    std::string platform = name.substr(0, name.find(':'));
    std::string root = name.substr(std::min(platform.size() + 1, name.size()));
    bool moved = platform.size() != name.size();
    if (moved && (root.size() < 2 || root.front() != '/' || root.back() == '/'))
        return nullptr;
    for (const BuiltIn &each : kBuiltIn) {
        if (platform == each.name)
            return moved && !each.movable ? nullptr : each.make(root);
    }
    return nullptr;
}

} // namespace tally
