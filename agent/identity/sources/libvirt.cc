// libvirt: a domain's machine name from the cgroup path; its full name, UUID and OpenStack's owner
// from the status file that libvirt keeps while the domain runs.
//
// Paths are libvirt's (src/util/virsystemd.c, virSystemdMakeScopeName; src/util/vircgroup.c; names
// by src/hypervisor/domain_driver.c, virDomainDriverGenerateMachineName). DRIVER is qemu, lxc or ch
// (cloud-hypervisor, which makes no cgroups itself; without libvirt it is in a unit of its
// operator's):
//   /machine.slice/machine-DRIVER\x2dID\x2dNAME.scope[/libvirt/...]   since 1.3, with systemd;
//   below
//                         it libvirt's emulator, vcpu0 ...; "/libvirt" since 6.1 with cgroup v2. In
//                         another slice with <resource><partition>
//   /machine/[X.partition/]DRIVER-ID-NAME.libvirt-DRIVER[/...]   without systemd
// A machine name is at most 64 bytes, and lacks what a host name cannot have: "my_vm" and "myvm"
// are both qemu-ID-myvm. So the domain is named by its file alone. qemu:///session is the user's.
//
// File: /run/libvirt/DRIVER/NAME.xml (domain_xml.h), root's, mode 0600. It is this domain's if its
// id is the scope's and its name makes the scope's.
//
// Without one, QEMU's command line (-name guest=, -uuid) is told as what it is: QEMU's word, which
// a guest that broke out can change.
#include "agent/identity/sources/domain_xml.h"
#include "agent/identity/sources/sources.h"

#include <algorithm>

namespace tally {

namespace {

struct Machine {
    std::string driver;
    std::string id;
    std::string name; // as the machine's name has it; empty if nothing was kept of it
    std::string full; // DRIVER-ID-NAME
};

std::optional<Machine> parse_machine(const std::string &full) {
    for (const char *driver : {"qemu", "lxc", "ch"}) {
        auto rest = between(full, std::string(driver) + "-", "");
        if (!rest)
            continue;
        std::string id = rest->substr(0, rest->find('-'));
        if (is_digits(id))
            return Machine{driver, id, rest->substr(std::min(id.size() + 1, rest->size())), full};
    }
    return std::nullopt;
}

std::optional<Machine> find(const std::string &cgroup_path) {
    if (auto name = between(unit_path(cgroup_path).unit, "machine-", ".scope"))
        return parse_machine(unescape_unit(*name));
    auto parts = parts_below(cgroup_path, "/machine");
    if (!parts)
        return std::nullopt;
    auto part = std::find_if(parts->begin(), parts->end(),
                             [](const std::string &each) { return !each.ends_with(".partition"); });
    size_t end = part == parts->end() ? std::string::npos : part->rfind(".libvirt-");
    if (end == std::string::npos)
        return std::nullopt;
    auto machine = parse_machine(part->substr(0, end));
    return machine && part->substr(end) == ".libvirt-" + machine->driver ? machine : std::nullopt;
}

// What every libvirt keeps of a name: versions differ in dots and dashes.
std::string kept(const std::string &name) {
    std::string letters;
    std::copy_if(name.begin(), name.end(), std::back_inserter(letters), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    });
    return letters;
}

bool is_named(const std::string &domain, const Machine &machine) {
    constexpr size_t kCut = 60; // 64, less what is trimmed
    bool cut = machine.full.size() >= kCut;
    std::string whole = kept(domain), part = kept(machine.name);
    return cut ? whole.starts_with(part) : whole == part;
}

std::string without_suffix(const std::string &file) {
    return file.substr(0, file.size() - std::string(".xml").size());
}

class Libvirt : public Source {
public:
    const char *name() const override { return "libvirt"; }

    std::optional<Identity> identify(const Subject &subject,
                                     const HostFiles &files) const override {
        auto machine = find(subject.cgroup_path);
        if (!machine)
            return std::nullopt;
        Identity identity{.source = name(), .names = {}, .origins = {}};
        add_name(identity, "libvirt.machine", machine->full);
        if (!name_by_file(identity, *machine, files) && machine->driver == "qemu")
            name_by_command_line(identity, *machine, subject, files);
        return identity;
    }

private:
    static bool name_by_file(Identity &identity, const Machine &machine, const HostFiles &files) {
        std::string directory = "/run/libvirt/" + machine.driver + "/";
        if (is_file_name(machine.name) &&
            take_file(identity, machine, directory + machine.name + ".xml", files))
            return true;
        for (const std::string &file : files.list(directory)) {
            if (file.ends_with(".xml") && file != machine.name + ".xml" &&
                is_named(without_suffix(file), machine) &&
                take_file(identity, machine, directory + file, files))
                return true;
        }
        return false;
    }

    static bool take_file(Identity &identity, const Machine &machine, const std::string &path,
                          const HostFiles &files) {
        auto contents = files.read(path);
        auto status = contents ? parse_domain_status(contents->text) : std::nullopt;
        if (!status || status->id != machine.id || !is_named(status->name, machine))
            return false;
        add_name(identity, "libvirt.domain", status->name);
        add_name(identity, "libvirt.uuid", status->uuid);
        if (!status->project.empty())
            add_name(identity, "openstack.instance", status->uuid);
        add_name(identity, "openstack.project", status->project);
        add_name(identity, "openstack.project_name", status->project_name);
        add_name(identity, "openstack.user", status->user);
        add_name(identity, "openstack.flavor", status->flavor);
        identity.origins.push_back(std::move(contents->origin));
        return true;
    }

    static void name_by_command_line(Identity &identity, const Machine &machine,
                                     const Subject &subject, const HostFiles &files) {
        for (int process : subject.processes ? subject.processes() : std::vector<int>()) {
            auto line = files.read_claim("/proc/" + std::to_string(process) + "/cmdline");
            if (!line)
                continue;
            std::string name, uuid;
            for (size_t at = 0; at < line->size();) {
                std::string option = line->c_str() + at;
                at += option.size() + 1;
                std::string value = at < line->size() ? line->c_str() + at : "";
                if (option == "-name")
                    name = value.substr(0, value.find(',')); // "guest=vm,debug-threads=on", "vm"
                else if (option == "-uuid")
                    uuid = value;
            }
            name = between(name, "guest=", "").value_or(name);
            if (name.empty() || !is_named(name, machine))
                continue;
            add_name(identity, "qemu.name", name);
            add_name(identity, "qemu.uuid", uuid);
            return;
        }
    }
};

} // namespace

std::unique_ptr<Source> libvirt_source(const std::string &) {
    return std::make_unique<Libvirt>();
}

} // namespace tally
