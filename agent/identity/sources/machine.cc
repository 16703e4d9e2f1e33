// Machines of systemd-nspawn and others that are registered with systemd-machined: the name from
// the unit, class and service from machined's record. (libvirt's are libvirt.cc's.)
//
//   /machine.slice/systemd-nspawn@NAME.service/payload/...   machinectl start
//   (systemd-nspawn@.service) /machine.slice/machine-NAME.scope/payload/... systemd-nspawn itself;
//   "payload" since 233
// Names are escaped as systemd.unit(5) has it.
//
// File: /run/systemd/machines/NAME (src/machine/machine.c, machine_save: NAME=, SCOPE= the unit, C
// escapes, CLASS=, SERVICE=). It is this machine's if it names the unit.
#include "agent/identity/sources/sources.h"

namespace tally {

namespace {

// "KEY=value" at a line's start; empty if there is none. cescape(3)'s doubled backslashes are
// undone.
std::string value_of(const std::string &record, const std::string &key) {
    std::string lines = "\n" + record;
    size_t at = lines.find("\n" + key + "=");
    if (at == std::string::npos)
        return {};
    at += key.size() + 2;
    std::string value = lines.substr(at, lines.find('\n', at) - at);
    for (size_t twice = value.find("\\\\"); twice != std::string::npos;
         twice = value.find("\\\\", twice + 1))
        value.erase(twice, 1);
    return value;
}

class Machine : public Source {
public:
    const char *name() const override { return "machine"; }

    std::optional<Identity> identify(const Subject &subject,
                                     const HostFiles &files) const override {
        std::string unit = unit_path(subject.cgroup_path).unit;
        auto escaped = between(unit, "systemd-nspawn@", ".service");
        if (!escaped)
            escaped = between(unit, "machine-", ".scope");
        if (!escaped)
            return std::nullopt;
        Identity identity{.source = name(), .names = {}, .origins = {}};
        std::string machine = unescape_unit(*escaped);
        add_name(identity, "machine.name", machine);
        add_record(identity, machine, unit, files);
        return identity;
    }

private:
    static void add_record(Identity &identity, const std::string &machine, const std::string &unit,
                           const HostFiles &files) {
        if (!is_file_name(machine))
            return;
        auto record = files.read("/run/systemd/machines/" + machine);
        if (!record || value_of(record->text, "NAME") != machine ||
            value_of(record->text, "SCOPE") != unit)
            return;
        add_name(identity, "machine.class", value_of(record->text, "CLASS"));
        add_name(identity, "machine.service", value_of(record->text, "SERVICE"));
        identity.origins.push_back(std::move(record->origin));
    }
};

} // namespace

std::unique_ptr<Source> machine_source(const std::string &) {
    return std::make_unique<Machine>();
}

} // namespace tally
