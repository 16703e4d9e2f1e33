// Every name that a source can give, and what it means: the vocabulary of tenants' rules, reports
// and the disclosure list. Who wrote the value is part of the meaning: "the host's" are names that
// only root on the host can have written; the rest say whose word they are.
#pragma once

namespace tally {

struct NameKey {
    const char *key;
    const char *meaning;
};

inline constexpr NameKey kNameKeys[] = {
    {"containerd.container_id", "a container's id, as ctr or nerdctl made it"},
    {"containerd.namespace", "containerd's namespace, such as default"},
    {"docker.container", "the container's name, such as web; unique on the host"},
    {"docker.container_id", "the container's id, 64 hexadecimal digits"},
    {"firecracker.id", "the --id that the jailer was given"},
    {"kubernetes.container", "the container's name in its pod"},
    {"kubernetes.container_id", "the container's id, 64 hexadecimal digits"},
    {"kubernetes.namespace", "the pod's namespace"},
    {"kubernetes.pod", "the pod's name in its namespace"},
    {"kubernetes.pod_uid", "the pod's UID; of a static pod, a hash of its manifest"},
    {"libvirt.domain", "the domain's name, in full"},
    {"libvirt.machine", "DRIVER-ID-NAME; NAME may be cut, and lacks what no host name can have"},
    {"libvirt.uuid", "the domain's UUID"},
    {"login.session", "logind's session number"},
    {"login.uid", "the user id that logind made the session or user manager for"},
    {"login.unit", "the user's word: a unit of that user's own manager, or a cgroup below it"},
    {"lxc.cgroup", "the container's cgroup, if it may be one of two containers"},
    {"lxc.container",
     "the container's name; under LXD and Incus PROJECT_NAME but in project default"},
    {"lxc.monitor", "the container's name; this is LXC's own process, not the container"},
    {"lxd.instance", "LXD's or Incus's instance name"},
    {"lxd.project", "LXD's or Incus's project"},
    {"machine.class", "container or vm, as registered with systemd-machined"},
    {"machine.name", "the machine's name, as systemd-nspawn or systemd-machined has it"},
    {"machine.service", "what registered the machine, such as systemd-nspawn"},
    {"openstack.flavor", "the instance's flavor, by name"},
    {"openstack.instance", "the instance's UUID in OpenStack: nova gives the domain the same"},
    {"openstack.project", "the project's id"},
    {"openstack.project_name", "the project's name; can be changed"},
    {"openstack.user", "the id of the user who started the instance"},
    {"podman.container", "the container's name; unique on the host"},
    {"podman.container_id", "the container's id, 64 hexadecimal digits"},
    {"podman.monitor", "a container's id; this is Podman's own process, not the container"},
    {"podman.pod_id", "the id of the pod (Podman's) that the container is in"},
    {"proxmox.vmid", "the virtual machine's number in Proxmox VE"},
    {"qemu.name", "QEMU's word, on its command line: whoever breaks out of a guest can change it"},
    {"qemu.uuid", "likewise, the machine's UUID"},
    {"slurm.job", "the job's number"},
    {"slurm.node", "the node's name, where one host runs several slurmd"},
    {"slurm.step", "the step: batch, extern, interactive or a number"},
    {"slurm.task", "the task's number in its step"},
    {"slurm.uid", "the user id that the job runs as"},
    {"systemd.slice", "the slice that the unit is in"},
    {"systemd.unit", "the host's unit, with systemd.unit(5)'s escapes as they stand"},
};

} // namespace tally
