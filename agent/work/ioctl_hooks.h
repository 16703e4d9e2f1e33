// A BPF object whose programs look at the return of ioctl(2) (bpf/work/ioctl.h): those of one rung,
// attached while somebody holds a device whose driver is asked that way, else only loaded.
#pragma once

#include "agent/record/hooks.h"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

struct bpf_object;

namespace tally {

// Whether the rung has hooks on ioctl(2): all but scanned, on which they would slow every system
// call of the machine.
bool has_ioctl_hooks(pb::Rung rung);

class IoctlHooks {
public:
    // `elf` is the object, as its skeleton has it. An error says what the kernel refused.
    static Result<IoctlHooks> load(std::span<const std::byte> elf, pb::Rung rung);

    bool attached() const { return !links_.empty(); }
    // Looks at the control file with this device number (bpf/wire.h). The hooks on 32-bit calls are
    // attached where the kernel has such calls.
    Status attach(uint32_t number);
    void detach() { links_.clear(); }

    // One of the object's maps; it must be there.
    int map(const char *name) const;

private:
    struct Destroy {
        void operator()(bpf_object *object) const;
        void operator()(bpf_link *link) const;
    };
    IoctlHooks() = default;

    pb::Rung rung_ = pb::RUNG_UNSPECIFIED;
    std::unique_ptr<bpf_object, Destroy> object_;
    std::vector<std::unique_ptr<bpf_link, Destroy>> links_; // after the object: links go first
};

} // namespace tally
