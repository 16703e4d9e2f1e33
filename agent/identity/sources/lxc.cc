// LXC, and with it LXD, Incus and Proxmox VE's containers: the container's name from the cgroup
// path.
//
// Paths are LXC's (src/lxc/lxc.h.in and cgroups/cgfsng.c; lxc.container.conf(5), lxc.cgroup.dir):
//   /lxc.payload.NAME[/...]      since 4.0.2 by default; LXD and Incus
//   /lxc.payload/NAME[/...]      4.0.0 and 4.0.1
//   /lxc/NAME[/...]              before 4.0; Proxmox VE (/lxc/101/ns)
//   /lxc.monitor.NAME, /lxc.monitor/NAME   LXC's own process, not the payload
// A user's own containers are below user@UID.service (systemd.cc).
//
// If the name is taken, by a cgroup that was left behind, LXC appends "-1", "-2" ...:
// lxc.payload.a-1 can be of container "a" or of "a-1". The one whose directory there is, is meant;
// if that does not decide it, no container is named.
//
// Directories: /var/lib/lxc/NAME (lxc.lxcpath), /var/lib/incus/containers/NAME,
// /var/lib/lxd/containers/NAME and below snap's. LXD and Incus name what is in project P, other
// than default, P_NAME; "_" is in neither P nor NAME (incus internal/server/project/project.go,
// Instance). Their virtual machines are in the daemon's own cgroup: nothing tells them apart.
#include "agent/identity/sources/sources.h"

namespace tally {

namespace {

struct Directory {
    const char *path;
    bool lxd;
};
constexpr Directory kDirectories[] = {
    {"/var/lib/lxc/", false},
    {"/var/lib/incus/containers/", true},
    {"/var/lib/lxd/containers/", true},
    {"/var/snap/lxd/common/lxd/containers/", true},
};

const Directory *directory_of(const std::string &name, const HostFiles &files) {
    for (const Directory &each : kDirectories) {
        if (is_file_name(name) && files.exists(each.path + name))
            return &each;
    }
    return nullptr;
}

// "a-1" -> "a"; empty if it ends otherwise.
std::string without_count(const std::string &name) {
    size_t dash = name.rfind('-');
    return dash != std::string::npos && is_digits(name.substr(dash + 1)) ? name.substr(0, dash)
                                                                         : std::string();
}

class Lxc : public Source {
public:
    const char *name() const override { return "lxc"; }

    std::optional<Identity> identify(const Subject &subject,
                                     const HostFiles &files) const override {
        Parts parts = path_parts(subject.cgroup_path);
        Identity identity{.source = name(), .names = {}, .origins = {}};
        if (auto monitored = below(parts, "lxc.monitor")) {
            add_name(identity, "lxc.monitor", *monitored);
            return identity;
        }
        auto payload = below(parts, "lxc.payload");
        if (!payload && parts.size() > 1 && parts[0] == "lxc")
            payload = parts[1];
        if (!payload)
            return std::nullopt;
        add_container(identity, *payload, files);
        return identity;
    }

private:
    static std::optional<std::string> below(const Parts &parts, const std::string &pattern) {
        if (parts.size() > 1 && parts[0] == pattern)
            return parts[1];
        return parts.empty() ? std::nullopt : between(parts[0], pattern + ".", "");
    }

    static void add_container(Identity &identity, std::string container, const HostFiles &files) {
        const Directory *directory = directory_of(container, files);
        if (std::string shorter = without_count(container); !shorter.empty()) {
            const Directory *other = directory_of(shorter, files);
            if ((directory == nullptr) == (other == nullptr)) {
                add_name(identity, "lxc.cgroup", container);
                return;
            }
            if (other != nullptr) {
                directory = other;
                container = shorter;
            }
        }
        add_name(identity, "lxc.container", container);
        if (directory == nullptr || !directory->lxd)
            return;
        size_t line = container.find('_');
        bool moved = line != std::string::npos;
        add_name(identity, "lxd.project", moved ? container.substr(0, line) : "default");
        add_name(identity, "lxd.instance", moved ? container.substr(line + 1) : container);
    }
};

} // namespace

std::unique_ptr<Source> lxc_source(const std::string &) {
    return std::make_unique<Lxc>();
}

} // namespace tally
