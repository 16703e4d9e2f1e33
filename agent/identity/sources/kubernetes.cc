// Kubernetes: the pod's UID and the container's id from the cgroup path; namespace, pod and
// container name from what the container runtime keeps on disk. No API call, no credentials.
//
// Paths are kubelet's (pkg/kubelet/cm/cgroup_manager_linux.go, pod_container_manager_linux.go; with
// the same names since 1.11), for --cgroup-driver=cgroupfs and systemd. TIER is burstable or
// besteffort, and missing for guaranteed pods; the systemd driver writes a UID's "-" as "_".
//
//   /kubepods/TIER/podUID/CID             containerd; Docker through cri-dockerd
//   /kubepods/TIER/podUID/crio-CID        CRI-O (internal/config/cgmgr/cgroupfs_linux.go)
//   /kubepods/TIER/podUID/kata_CID        Kata Containers 2 and later: the VM of a sandbox
//   /kubepods.slice/kubepods-TIER.slice/kubepods-TIER-podUID.slice/RUNTIME-CID.scope
//                                         RUNTIME: cri-containerd, crio, docker
//   .../crio-conmon-CID.scope, crio-conmon-CID   CRI-O's monitor: of the pod, no container
//   /kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-TIER.slice/...   kubelet --cgroup-root:
//                                         kind, and any other, its slices nested as in
//                                         systemd.slice(5)
//   /kubelet/kubepods/...                 kind's, cgroupfs; another root: "kubernetes:/ROOT"
//   /system.slice/containerd.service/kubepods-TIER-podUID.slice:cri-containerd:CID
//                                         kubelet on systemd, containerd not (SystemdCgroup =
//                                         false)
//
// Files, tied to the container by its id, its pod's UID and, in a bundle, its cgroup:
//   containerd  DIRECTORY/io.containerd.runtime.v2.task/k8s.io/CID/config.json
//               (internal/cri/annotations/annotations.go; sandbox-uid since 1.5)
//   CRI-O       /run/containers/storage/overlay-containers/CID/userdata/config.json. CRI-O copies a
//               pod's own annotations over its io.kubernetes.cri-o.*, and kubelet's labels over
//               those (server/sandbox_run_linux.go): only the labels' io.kubernetes.* are evidence.
//   Docker      /var/lib/docker/containers/CID/config.v2.json: kubelet's labels
#include "agent/identity/sources/oci.h"
#include "agent/identity/sources/sources.h"

#include <algorithm>
#include <cctype>

namespace tally {

namespace {

struct Container {
    std::string pod_uid;
    std::string runtime; // as the cgroup's name has it; empty: it does not say
    std::string id;      // empty: the pod's, but no container's
    std::string cgroup;  // what its bundle's cgroupsPath must lead to
};

bool is_pod_uid(const std::string &text) {
    return !text.empty() && text.size() <= 64 &&
           std::all_of(text.begin(), text.end(),
                       [](unsigned char c) { return std::isalnum(c) || c == '-'; });
}

// "crio-CID" and the like, without ".scope".
void take_container(Container &container, const std::string &name) {
    if (name.size() < 64)
        return;
    std::string id = name.substr(name.size() - 64);
    std::string runtime = name.substr(0, name.size() - 64);
    if (!is_container_id(id) || (!runtime.empty() && runtime.back() != '-') ||
        runtime == "crio-conmon-")
        return;
    container.runtime = runtime.substr(0, runtime.size() - (runtime.empty() ? 0 : 1));
    container.id = id;
}

// "PREFIXkubepods-burstable-pod7_2.slice" -> the pod; nothing if it is another slice.
std::optional<Container> pod_slice(const std::string &slice, const std::string &prefix) {
    for (const char *tier : {"-", "-burstable-", "-besteffort-"}) {
        auto uid = between(slice, prefix + "kubepods" + tier + "pod", ".slice");
        if (!uid)
            continue;
        std::replace(uid->begin(), uid->end(), '_', '-');
        if (is_pod_uid(*uid))
            return Container{.pod_uid = *uid};
    }
    return std::nullopt;
}

std::optional<Container> on_systemd(const UnitPath &path) {
    for (size_t at = 0; at < path.slices.size(); ++at) {
        const std::string &slice = path.slices[at];
        auto prefix = slice == "kubepods.slice" ? "" : between(slice, "", "kubepods.slice");
        if (!prefix || (!prefix->empty() && prefix->back() != '-'))
            continue;
        for (size_t below = at + 1; below < std::min(at + 3, path.slices.size()); ++below) {
            auto container = pod_slice(path.slices[below], *prefix);
            if (!container)
                continue;
            auto name = between(path.unit, "", ".scope");
            if (name && below + 1 == path.slices.size())
                take_container(*container, *name);
            container->cgroup = path_of(path.slices, path.slices.size()) + "/" + path.unit;
            return container;
        }
        return std::nullopt;
    }
    return std::nullopt;
}

// containerd without SystemdCgroup takes kubelet's "slice:prefix:name" for a path below its own.
std::optional<Container> below_containerd(const UnitPath &path) {
    if (path.unit != "containerd.service" || path.below.empty())
        return std::nullopt;
    const std::string &name = path.below.front();
    auto container = pod_slice(name.substr(0, name.find(':')), "");
    if (!container)
        return std::nullopt;
    take_container(*container, "cri-containerd-" + name.substr(name.rfind(':') + 1));
    container->cgroup = cgroup_of(name); // not where it is, but what its bundle says, too
    return container;
}

std::optional<Container> on_cgroupfs(const Parts &parts) {
    size_t at = 0;
    if (parts.empty() || parts[at++] != "kubepods")
        return std::nullopt;
    if (at < parts.size() && (parts[at] == "burstable" || parts[at] == "besteffort"))
        ++at;
    auto uid = at < parts.size() ? between(parts[at], "pod", "") : std::nullopt;
    if (!uid || !is_pod_uid(*uid))
        return std::nullopt;
    Container container{.pod_uid = *uid};
    if (at + 1 < parts.size()) {
        const std::string &name = parts[at + 1];
        bool kata = name.starts_with("kata_");
        take_container(container, kata ? name.substr(5) : name);
        container.cgroup = path_of(parts, at + 1) + "/" + (kata ? name.substr(5) : name);
    }
    return container;
}

class Kubernetes : public Source {
public:
    explicit Kubernetes(const std::string &root)
        : roots_(root.empty() ? std::vector<std::string>{"", "/kubelet"}
                              : std::vector<std::string>{root}) {}
    const char *name() const override { return "kubernetes"; }

    std::optional<Identity> identify(const Subject &subject,
                                     const HostFiles &files) const override {
        auto container = find(subject.cgroup_path);
        if (!container)
            return std::nullopt;
        Identity identity{.source = name(), .names = {}, .origins = {}};
        add_name(identity, "kubernetes.pod_uid", container->pod_uid);
        add_name(identity, "kubernetes.container_id", container->id);
        if (container->id.empty())
            return identity;
        const std::string &runtime = container->runtime;
        if (runtime == "crio")
            name_by_crio(identity, *container, files);
        else if (runtime == "docker" ||
                 (!name_by_containerd(identity, *container, files) && runtime.empty()))
            name_by_docker(identity, *container, files);
        return identity;
    }

private:
    std::optional<Container> find(const std::string &cgroup_path) const {
        UnitPath units = unit_path(cgroup_path);
        if (auto container = on_systemd(units))
            return container;
        if (auto container = below_containerd(units))
            return container;
        for (const std::string &root : roots_) {
            auto parts = parts_below(cgroup_path, root);
            if (auto container = parts ? on_cgroupfs(*parts) : std::nullopt) {
                container->cgroup.insert(0, root);
                return container;
            }
        }
        return std::nullopt;
    }

    static bool is_its_bundle(const Json &bundle, const Container &container,
                              const char *uid_annotation) {
        return bundle.string({"annotations", uid_annotation}) == container.pod_uid &&
               is_bundle_of(bundle, container.cgroup);
    }

    static bool name_by_containerd(Identity &identity, const Container &container,
                                   const HostFiles &files) {
        for (const char *state : {"/run/containerd", "/run/k3s/containerd",
                                  "/var/snap/microk8s/common/run/containerd"}) {
            auto bundle =
                read_json(files, std::string(state) + "/io.containerd.runtime.v2.task/k8s.io/" +
                                     container.id + "/config.json");
            if (!bundle || !is_its_bundle(bundle->json, container, "io.kubernetes.cri.sandbox-uid"))
                continue;
            auto take = [&](const char *key, const char *annotation) {
                add_name(identity, key, bundle->json.string({"annotations", annotation}));
            };
            take("kubernetes.namespace", "io.kubernetes.cri.sandbox-namespace");
            take("kubernetes.pod", "io.kubernetes.cri.sandbox-name");
            take("kubernetes.container", "io.kubernetes.cri.container-name");
            identity.origins.push_back(std::move(bundle->origin));
            return true;
        }
        return false;
    }

    static void name_by_crio(Identity &identity, const Container &container,
                             const HostFiles &files) {
        auto bundle = read_json(files, "/run/containers/storage/overlay-containers/" +
                                           container.id + "/userdata/config.json");
        if (!bundle || !is_its_bundle(bundle->json, container, "io.kubernetes.pod.uid"))
            return;
        add_kubelet_labels(identity, bundle->json.member("annotations"));
        identity.origins.push_back(std::move(bundle->origin));
    }

    static void name_by_docker(Identity &identity, const Container &container,
                               const HostFiles &files) {
        auto state =
            read_json(files, "/var/lib/docker/containers/" + container.id + "/config.v2.json");
        if (!state || state->json.string({"ID"}) != container.id)
            return;
        auto config = state->json.member("Config");
        auto labels = config ? config->member("Labels") : std::nullopt;
        if (!labels || labels->string({"io.kubernetes.pod.uid"}) != container.pod_uid)
            return;
        add_kubelet_labels(identity, labels);
        identity.origins.push_back(std::move(state->origin));
    }

    // pkg/kubelet/types/labels.go
    static void add_kubelet_labels(Identity &identity, const std::optional<Json> &labels) {
        if (!labels)
            return;
        add_name(identity, "kubernetes.namespace", labels->string({"io.kubernetes.pod.namespace"}));
        add_name(identity, "kubernetes.pod", labels->string({"io.kubernetes.pod.name"}));
        add_name(identity, "kubernetes.container",
                 labels->string({"io.kubernetes.container.name"}));
    }

    std::vector<std::string> roots_; // kubelet's --cgroup-root, with the cgroupfs driver
};

} // namespace

std::unique_ptr<Source> kubernetes_source(const std::string &root) {
    return std::make_unique<Kubernetes>(root);
}

} // namespace tally
