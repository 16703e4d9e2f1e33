// Proxmox VE: a virtual machine's number from its scope (qemu-server PVE/QemuServer.pm,
// systemd scope "VMID" in slice qemu; since 4.0). Its containers are LXC's (lxc.cc).
//
//   /qemu.slice/100.scope
#include "agent/identity/sources/sources.h"

namespace tally {

namespace {

class Proxmox : public Source {
public:
    const char *name() const override { return "proxmox"; }

    std::optional<Identity> identify(const Subject &subject, const HostFiles &) const override {
        UnitPath path = unit_path(subject.cgroup_path);
        auto number = between(path.unit, "", ".scope");
        if (path.slices != Parts{"qemu.slice"} || !number || !is_digits(*number))
            return std::nullopt;
        Identity identity{.source = name(), .names = {}, .origins = {}};
        add_name(identity, "proxmox.vmid", *number);
        return identity;
    }
};

} // namespace

std::unique_ptr<Source> proxmox_source(const std::string &) {
    return std::make_unique<Proxmox>();
}

} // namespace tally
