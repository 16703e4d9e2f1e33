// Podman, run by root: a container's and its pod's id from the cgroup path, the name from the
// storage library's list. A user's own (rootless) containers are the user's word: systemd.cc.
//
// Paths are libpod's (libpod/oci_conmon_common.go, container_internal_linux.go getOCICgroupPath;
// since 1.0, split since 2.0) and conmon's:
//   /machine.slice/libpod-CID.scope[/container]    --cgroup-manager=systemd; crun adds "container"
//   /machine.slice/machine-libpod_pod_PID.slice/libpod-CID.scope   in a pod
//   /machine.slice/libpod-conmon-CID.scope         Podman's monitor, not the container
//   /libpod_parent/libpod-CID[/...]                --cgroup-manager=cgroupfs
//   /libpod_parent/PID/libpod-CID                  in a pod
//   /libpod_parent/libpod-conmon-CID, /libpod_parent/conmon   monitors
//   /system.slice/X.service/libpod-payload-CID     --cgroups=split, Quadlet: below a unit that
//   could
//                                                  be anybody's, so only if the bundle says that
//                                                  path
//
// Files: /var/lib/containers/storage/overlay-containers/containers.json (containers/storage
// containers.go: an array of {id, names}) and, for split,
// overlay-containers/CID/userdata/config.json there or in /run/containers/storage.
#include "agent/identity/sources/oci.h"
#include "agent/identity/sources/sources.h"

namespace tally {

namespace {

constexpr const char *kStorage = "/var/lib/containers/storage/overlay-containers/";
constexpr const char *kRunStorage = "/run/containers/storage/overlay-containers/";

struct Container {
    std::string id;
    std::string pod_id;
    bool monitor = false;
};

std::optional<Container> named(const std::string &name, const std::string &end) {
    for (bool monitor : {true, false}) {
        auto id = between(name, monitor ? "libpod-conmon-" : "libpod-", end);
        if (id && is_container_id(*id))
            return Container{.id = *id, .pod_id = {}, .monitor = monitor};
    }
    return std::nullopt;
}

std::optional<Container> find(const std::string &cgroup_path, const UnitPath &path) {
    if (auto container = named(path.unit, ".scope")) {
        auto pod =
            between(path.slices.empty() ? "" : path.slices.back(), "machine-libpod_pod_", ".slice");
        container->pod_id = pod && is_container_id(*pod) ? *pod : "";
        return container;
    }
    auto parts = parts_below(cgroup_path, "/libpod_parent");
    if (!parts || parts->empty())
        return std::nullopt;
    bool in_pod = is_container_id(parts->front()) && parts->size() > 1;
    auto container = named((*parts)[in_pod ? 1 : 0], "");
    if (container && in_pod)
        container->pod_id = parts->front();
    return container;
}

std::optional<JsonFile> split_bundle(const UnitPath &path, const std::string &id,
                                     const HostFiles &files) {
    Parts parts = path.slices;
    parts.push_back(path.unit);
    parts.push_back(path.below.front());
    std::string cgroup = path_of(parts, parts.size());
    for (const char *storage : {kStorage, kRunStorage}) {
        auto bundle = read_json(files, storage + id + "/userdata/config.json");
        if (bundle && is_bundle_of(bundle->json, cgroup))
            return bundle;
    }
    return std::nullopt;
}

class Podman : public Source {
public:
    const char *name() const override { return "podman"; }

    std::optional<Identity> identify(const Subject &subject,
                                     const HostFiles &files) const override {
        Identity identity{.source = name(), .names = {}, .origins = {}};
        UnitPath path = unit_path(subject.cgroup_path);
        auto container = find(subject.cgroup_path, path);
        if (!container && !path.unit.empty() && !path.below.empty()) {
            auto id = between(path.below.front(), "libpod-payload-", "");
            auto bundle =
                id && is_container_id(*id) ? split_bundle(path, *id, files) : std::nullopt;
            if (!bundle)
                return std::nullopt;
            container = Container{.id = *id};
            add_name(identity, "systemd.unit", path.unit);
            identity.origins.push_back(std::move(bundle->origin));
        }
        if (!container)
            return std::nullopt;
        add_name(identity, container->monitor ? "podman.monitor" : "podman.container_id",
                 container->id);
        add_name(identity, "podman.pod_id", container->pod_id);
        if (!container->monitor)
            add_stored_name(identity, container->id, files);
        return identity;
    }

private:
    static void add_stored_name(Identity &identity, const std::string &id, const HostFiles &files) {
        auto stored = read_json(files, std::string(kStorage) + "containers.json");
        if (!stored)
            return;
        for (const Json &each : stored->json.elements()) {
            if (each.string({"id"}) != id)
                continue;
            auto names = each.member("names");
            auto list = names ? names->elements() : std::vector<Json>();
            if (list.empty())
                return;
            add_name(identity, "podman.container", list.front().string({}));
            identity.origins.push_back(std::move(stored->origin));
            return;
        }
    }
};

} // namespace

std::unique_ptr<Source> podman_source(const std::string &) {
    return std::make_unique<Podman>();
}

} // namespace tally
