// systemd: a unit's name and slice, and a login's user, from the cgroup path alone
// (systemd.slice(5), systemd.scope(5), systemd-logind(8); the escape of systemd.unit(5) is left as
// it stands).
//
//   /system.slice/nvidia-dcgm.service          unit, slice
//   /user.slice/user-1000.slice/session-3.scope   unit, slice, login.uid, login.session
//   /user.slice/user-1000.slice/user@1000.service/app.slice/x.service   the user's own unit, whose
//                                                 name is that user's choice
#include "agent/identity/sources/sources.h"

namespace tally {

namespace {

bool is_digits(const std::string &text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

class Systemd : public Source {
public:
    const char *name() const override { return "systemd"; }

    std::optional<Identity> identify(const Subject &subject, const HostFiles &) const override {
        Identity identity{.source = name(), .names = {}, .origins = {}};
        std::string unit, slice, uid, session;
        for (const std::string &part : path_parts(subject.cgroup_path)) {
            if (auto middle = between(part, "user-", ".slice"); middle && is_digits(*middle))
                uid = *middle;
            if (auto middle = between(part, "session-", ".scope"))
                session = *middle;
            if (part.ends_with(".slice")) {
                if (unit.empty())
                    slice = part;
            } else if (unit.empty() && (part.ends_with(".service") || part.ends_with(".scope"))) {
                unit = part; // what is below it is the unit's own business
            }
        }
        if (unit.empty())
            return std::nullopt;
        add_name(identity, "systemd.unit", unit);
        add_name(identity, "systemd.slice", slice);
        add_name(identity, "login.uid", uid);
        add_name(identity, "login.session", session);
        return identity;
    }
};

} // namespace

std::unique_ptr<Source> systemd_source() {
    return std::make_unique<Systemd>();
}

} // namespace tally
