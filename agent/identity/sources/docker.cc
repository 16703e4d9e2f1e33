// Docker: a container's id from the cgroup path, its name from the daemon's own state.
//
// Paths are moby's (daemon/oci_linux.go, withCgroups: native.cgroupdriver; since 1.10) and runc's
// for them:
//   /system.slice/docker-CID.scope        driver systemd, the default with cgroup v2 since 20.10
//   /ANY.slice/ANY-MORE.slice/docker-CID.scope   the same, --cgroup-parent (AWS ECS:
//   ecstasks.slice) /docker/CID                           driver cgroupfs /PARENT/CID the same,
//   --cgroup-parent: "docker:/PARENT"
// A Kubernetes node of kind, minikube or k3d, and Docker in Docker, are the container outside. A
// rootless daemon's are the user's (systemd.cc).
//
// File: /var/lib/docker/containers/CID/config.v2.json (container/container.go, ID and Name), or
// below snap's data-root; with another data-root, or userns-remap, only the id is known. Labels are
// not read: an image's author sets labels that the container has, too.
#include "agent/identity/sources/json.h"
#include "agent/identity/sources/sources.h"

namespace tally {

namespace {

class Docker : public Source {
public:
    explicit Docker(const std::string &root) : parent_(root.empty() ? "/docker" : root) {}
    const char *name() const override { return "docker"; }

    std::optional<Identity> identify(const Subject &subject,
                                     const HostFiles &files) const override {
        auto id = between(unit_path(subject.cgroup_path).unit, "docker-", ".scope");
        if (auto parts = parts_below(subject.cgroup_path, parent_); !id && parts && !parts->empty())
            id = parts->front();
        if (!id || !is_container_id(*id))
            return std::nullopt;
        Identity identity{.source = name(), .names = {}, .origins = {}};
        add_name(identity, "docker.container_id", *id);
        for (const char *root : {"/var/lib/docker", "/var/snap/docker/common/var-lib-docker"}) {
            auto state =
                read_json(files, std::string(root) + "/containers/" + *id + "/config.v2.json");
            if (!state || state->json.string({"ID"}) != *id)
                continue;
            std::string full = state->json.string({"Name"}); // "/web"
            add_name(identity, "docker.container", full.starts_with('/') ? full.substr(1) : full);
            identity.origins.push_back(std::move(state->origin));
            break;
        }
        return identity;
    }

private:
    std::string parent_;
};

} // namespace

std::unique_ptr<Source> docker_source(const std::string &root) {
    return std::make_unique<Docker>(root);
}

} // namespace tally
