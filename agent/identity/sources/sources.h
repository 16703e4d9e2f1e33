// The sources, one a file, and what they share: taking a cgroup's path apart.
#pragma once

#include "agent/identity/source.h"

#include <optional>
#include <string>
#include <vector>

namespace tally {

// Each is told the cgroup that its platform works below; empty: where it does by default.
std::unique_ptr<Source> containerd_source(const std::string &root);
std::unique_ptr<Source> docker_source(const std::string &root);
std::unique_ptr<Source> firecracker_source(const std::string &root);
std::unique_ptr<Source> kubernetes_source(const std::string &root);
std::unique_ptr<Source> libvirt_source(const std::string &root);
std::unique_ptr<Source> lxc_source(const std::string &root);
std::unique_ptr<Source> machine_source(const std::string &root);
std::unique_ptr<Source> podman_source(const std::string &root);
std::unique_ptr<Source> proxmox_source(const std::string &root);
std::unique_ptr<Source> slurm_source(const std::string &root);
std::unique_ptr<Source> systemd_source(const std::string &root);

using Parts = std::vector<std::string>;
// "/a/b" -> {"a", "b"}; empty parts are left out.
Parts path_parts(const std::string &path);
// The first `count` parts as a path again.
std::string path_of(const Parts &parts, size_t count);
// The parts below `root`; nothing if the path is not below it.
std::optional<Parts> parts_below(const std::string &path, const std::string &root);

// The host's own unit, and the slices that lead to it (rule 2 of source.h).
struct UnitPath {
    Parts slices;     // outermost first
    std::string unit; // *.service or *.scope; empty: something else follows the slices
    Parts below;      // what follows, without the unit
};
UnitPath unit_path(const std::string &cgroup_path);
// systemd.unit(5): "machine-qemu\x2d3" -> "machine-qemu-3". What is no escape stays.
std::string unescape_unit(const std::string &name);

// What stands between the two, if `text` begins and ends with them and there is something.
std::optional<std::string> between(const std::string &text, const std::string &begin,
                                   const std::string &end);
bool is_digits(const std::string &text);
// 64 lower-case hexadecimal digits: how containerd's CRI, CRI-O, Docker and Podman name containers.
bool is_container_id(const std::string &text);
// Can be one part of a file's path: no slash, not "." or "..", not empty.
bool is_file_name(const std::string &text);

// Unless the value is empty; cut to kMostNameBytes.
void add_name(Identity &identity, const char *key, const std::string &value);

} // namespace tally
