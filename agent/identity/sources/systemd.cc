// systemd: a unit's name and slice, and a login's user, from the cgroup path alone
// (systemd.slice(5), systemd.scope(5), systemd-logind.service(8), user@.service(5); the escapes of
// systemd.unit(5) are left as they stand). Of all versions with the unified hierarchy.
//
//   /system.slice/nvidia-dcgm.service             unit, slice
//   /system.slice/system-getty.slice/getty@tty1.service   unit, and the innermost slice
//   /user.slice/user-1000.slice/session-3.scope   unit, slice, login.uid, login.session
//   /user.slice/user-1000.slice/user@1000.service/app.slice/x.service   the same of the user's
//                         manager; login.unit is x.service, whose name is that user's choice: a
//                         rootless libpod-ID.scope is there too, and no evidence of a container
//   /init.scope, /-.slice/x.service               unit
#include "agent/identity/sources/sources.h"

namespace tally {

namespace {

class Systemd : public Source {
public:
    const char *name() const override { return "systemd"; }

    std::optional<Identity> identify(const Subject &subject, const HostFiles &) const override {
        UnitPath path = unit_path(subject.cgroup_path);
        if (path.unit.empty())
            return std::nullopt;
        Identity identity{.source = name(), .names = {}, .origins = {}};
        add_name(identity, "systemd.unit", path.unit);
        if (!path.slices.empty())
            add_name(identity, "systemd.slice", path.slices.back());
        add_login(identity, path);
        return identity;
    }

private:
    static void add_login(Identity &identity, const UnitPath &path) {
        if (path.slices.size() != 2 || path.slices[0] != "user.slice")
            return;
        auto uid = between(path.slices[1], "user-", ".slice");
        if (!uid || !is_digits(*uid))
            return;
        add_name(identity, "login.uid", *uid);
        if (auto session = between(path.unit, "session-", ".scope"))
            add_name(identity, "login.session", *session);
        if (path.unit != "user@" + *uid + ".service")
            return;
        for (const std::string &part : path.below) {
            if (part.ends_with(".slice"))
                continue;
            add_name(identity, "login.unit", part);
            return;
        }
    }
};

} // namespace

std::unique_ptr<Source> systemd_source(const std::string &) {
    return std::make_unique<Systemd>();
}

} // namespace tally
