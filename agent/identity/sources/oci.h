// The bundle of an OCI container, config.json, as its runtime keeps it on the host
// (opencontainers/runtime-spec config.md). linux.cgroupsPath (config-linux.md) says where the
// container runs: it ties a bundle to a cgroup.
#pragma once

#include "agent/identity/sources/json.h"

#include <string>

namespace tally {

// Where runc and crun put the container (runc libcontainer/cgroups/systemd/common.go, getUnitName
// and ExpandSlice; fs2): "kubepods-pod7.slice:crio:ID" is
// /kubepods.slice/kubepods-pod7.slice/crio-ID.scope, "/docker/ID" itself. Empty if it is neither.
std::string cgroup_of(const std::string &cgroups_path);
// Whether the bundle is of the container in exactly this cgroup.
bool is_bundle_of(const Json &bundle, const std::string &cgroup);

} // namespace tally
