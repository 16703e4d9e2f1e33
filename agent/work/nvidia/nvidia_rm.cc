// nvidia_rm: channels that processes were given by NVIDIA's resource manager, through which alone
// they can have a GPU do anything; by the ioctls on /dev/nvidiactl (bpf/work/nvidia_rm.bpf.c has
// the formats and their sources).
//
// Proves that a process could run something, or was refused. Does not prove that it did: launches
// are stores into memory that no kernel sees. Cannot prove that it could not: what asked before the
// hooks were there, or asks through another process (MPS) or the kernel's own clients, is not seen,
// and a process may hide what it asked for by changing it while we read. So it is evadable.
//
// The control file does not say which GPU is meant: a row names the device if the process holds no
// other. A channel that ends with something other than its parents (its address space, say) is
// taken for there until its process ends: times with channels are at most so long. Copies of a
// channel in another client (NV_ESC_RM_DUP_OBJECT) are not counted, nor are channels of NVIDIA's
// kernel drivers.
#include "agent/work/able.h"

#include "agent/inventory/tree.h"
#include "agent/work/sources.h"
#include "base/bytes.h"

#include "bpf/work/nvidia_rm.skel.h"

#include <algorithm>

namespace tally {

namespace {

// kernel-open/common/inc/nv-chardev-numbers.h
constexpr uint32_t kMajor = 195;
constexpr uint32_t kControl = 255;
constexpr uint32_t kLastGpu = 247;
// NVOS21 and NVOS64 have been as we read them since then; before, paramsSize was missing in them
// and the status stood where it stands now.
constexpr uint64_t kFirstDriver = 535;

std::span<const std::byte> object() {
    size_t size = 0;
    const void *bytes = nvidia_rm_bpf__elf_bytes(&size);
    return {static_cast<const std::byte *>(bytes), size};
}

class NvidiaRm : public AbleSource {
public:
    explicit NvidiaRm(const DeviceRoots &roots)
        : AbleSource({"nvidia_rm", "channels", "channels created", "channel groups created"},
                     object(), roots.proc),
          roots_(roots) {}

private:
    // nv.c registers "nvidiactl" with a region of its own, before driver 510 "nvidia-frontend".
    uint32_t major_number() const {
        auto major = character_major(roots_, "nvidiactl");
        return major ? *major : character_major(roots_, "nvidia-frontend").value_or(kMajor);
    }
    std::optional<uint32_t> find_control() const override {
        return WIRE_DEVICE_NUMBER(major_number(), kControl);
    }
    // Whatever the GPU's holder holds of it: its own node, a DRM node, a MIG instance. Not one that
    // was passed through: its guest has a resource manager of its own.
    bool concerns(const Device &device) const override {
        if (device.driver == "nvidia")
            return true;
        if (device.kind == pb::Device::KIND_MIG_INSTANCE)
            return device.pci_id.starts_with("10de:");
        return std::any_of(device.nodes.begin(), device.nodes.end(), [](const DeviceNode &node) {
            return node.major == kMajor && node.minor <= kLastGpu;
        });
    }
    std::string objection(const Device &device) const override {
        std::string_view version = device.driver_version;
        auto major = parse_decimal(take_until(version, '.'));
        if (!major || *major >= kFirstDriver)
            return {};
        return "driver " + device.driver_version +
               ": its requests are laid out otherwise than since " + std::to_string(kFirstDriver);
    }

    DeviceRoots roots_;
};

} // namespace

std::unique_ptr<WorkSource> nvidia_rm_source(const DeviceRoots &roots) {
    return std::make_unique<NvidiaRm>(roots);
}

} // namespace tally
