// kfd: queues that processes were given by AMD's KFD, through which ROCm has a GPU do anything; by
// the ioctls on /dev/kfd (bpf/work/kfd.bpf.c has the formats and their sources). They name the GPU.
//
// Proves that a process could run something on that GPU, or was refused. Does not prove that it
// did: what it puts into a queue no kernel sees. Cannot prove that it could not: what asked before
// the hooks were there is not seen, nor are queues that CRIU restores, and a process may hide what
// it asked for by changing it while we read. So it is evadable.
//
// Whose time is told here is who holds /dev/kfd. Who only has the GPU's DRM node is not: it works
// through amdgpu's own rings, of which drm_sched and drm_fdinfo tell.
#include "agent/work/able.h"

#include "agent/inventory/amd.h"
#include "agent/work/sources.h"

#include "bpf/work/kfd.skel.h"

#include <algorithm>

namespace tally {

namespace {

std::span<const std::byte> object() {
    size_t size = 0;
    const void *bytes = kfd_bpf__elf_bytes(&size);
    return {static_cast<const std::byte *>(bytes), size};
}

class Kfd : public AbleSource {
public:
    explicit Kfd(const DeviceRoots &roots)
        : AbleSource({"kfd", "queues", "compute queues created", "copy queues created"}, object(),
                     roots.proc),
          roots_(roots) {}

private:
    // kfd_chardev_init (kfd_chardev.c): the only minor of a major number of its own.
    std::optional<uint32_t> find_control() const override {
        auto major = character_major(roots_, "kfd");
        return major ? std::optional(WIRE_DEVICE_NUMBER(*major, 0)) : std::nullopt;
    }
    bool concerns(const Device &device) const override {
        return std::any_of(device.nodes.begin(), device.nodes.end(), [&](const DeviceNode &node) {
            return control() == WIRE_DEVICE_NUMBER(node.major, node.minor);
        });
    }
    bool may_be_meant(const Device &device) const override {
        return device.driver == "amdgpu" || device.kind == pb::Device::KIND_PARTITION;
    }
    std::map<uint32_t, uint32_t> find_places(const Look &look) const override {
        return devices_by_gpu_id(kfd_nodes(roots_), look.devices);
    }

    DeviceRoots roots_;
};

} // namespace

std::unique_ptr<WorkSource> kfd_source(const DeviceRoots &roots) {
    return std::make_unique<Kfd>(roots);
}

} // namespace tally
