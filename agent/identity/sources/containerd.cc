// containerd by itself, without Kubernetes or Docker: nerdctl and ctr. (Kubernetes' containers of
// containerd are kubernetes.cc's.)
//
// Paths are containerd's (pkg/oci/spec.go, populateDefaultUnixSpec: cgroupsPath /NAMESPACE/ID;
// since 1.0) and nerdctl's (pkg/cmd/container/run_cgroup_linux.go, "system.slice:nerdctl:ID"; since
// 0.8):
//   /NAMESPACE/ID                         ctr, and nerdctl --cgroup-manager=cgroupfs
//   /system.slice/nerdctl-ID.scope        nerdctl --cgroup-manager=systemd, its default on cgroup
//   v2
// Neither is unmistakable, so each counts only if containerd's bundle of that container,
// /run/containerd/io.containerd.runtime.v2.task/NAMESPACE/ID/config.json, says that very cgroup.
#include "agent/identity/sources/oci.h"
#include "agent/identity/sources/sources.h"

namespace tally {

namespace {

constexpr const char *kTasks = "/run/containerd/io.containerd.runtime.v2.task/";
constexpr size_t kMostNamespaces = 64;

class Containerd : public Source {
public:
    const char *name() const override { return "containerd"; }

    std::optional<Identity> identify(const Subject &subject,
                                     const HostFiles &files) const override {
        UnitPath units = unit_path(subject.cgroup_path);
        Parts parts = path_parts(subject.cgroup_path);
        if (auto id = between(units.unit, "nerdctl-", ".scope")) {
            std::string cgroup = path_of(parts, units.slices.size() + 1);
            for (const std::string &space : files.list(kTasks, kMostNamespaces)) {
                if (auto identity = confirm(space, *id, cgroup, files))
                    return identity;
            }
        }
        if (units.slices.empty() && parts.size() >= 2)
            return confirm(parts[0], parts[1], path_of(parts, 2), files);
        return std::nullopt;
    }

private:
    std::optional<Identity> confirm(const std::string &space, const std::string &id,
                                    const std::string &cgroup, const HostFiles &files) const {
        if (!is_file_name(space) || !is_file_name(id))
            return std::nullopt;
        auto bundle = read_json(files, kTasks + space + "/" + id + "/config.json");
        if (!bundle || !is_bundle_of(bundle->json, cgroup))
            return std::nullopt;
        Identity identity{.source = name(), .names = {}, .origins = {}};
        add_name(identity, "containerd.namespace", space);
        add_name(identity, "containerd.container_id", id);
        identity.origins.push_back(std::move(bundle->origin));
        return identity;
    }
};

} // namespace

std::unique_ptr<Source> containerd_source(const std::string &) {
    return std::make_unique<Containerd>();
}

} // namespace tally
