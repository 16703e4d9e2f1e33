#include "agent/work/ioctl_hooks.h"

#include "base/bytes.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <malloc.h>
#include <string_view>

namespace tally {

namespace {

constexpr const char *kCall32 = "__ia32_compat_sys_ioctl";

const std::vector<Hook> &ioctl_hooks_of(pb::Rung rung) {
    static const std::vector<Hook> exact = {{"exact_ioctl"}, {"exact_ioctl32", nullptr, false}};
    static const std::vector<Hook> kprobe = {{"kprobe_ioctl"},
                                             {"kprobe_asking"},
                                             {"kprobe_ioctl32", nullptr, false},
                                             {"kprobe_asking32", nullptr, false}};
    static const std::vector<Hook> traced = {{"traced_ioctl", "syscalls/sys_exit_ioctl"}};
    static const std::vector<Hook> none;
    switch (rung) {
    case pb::RUNG_EXACT:
        return exact;
    case pb::RUNG_EXACT_KPROBE:
        return kprobe;
    case pb::RUNG_TRACED:
        return traced;
    default:
        return none;
    }
}

bool is_wanted(const bpf_program *program, pb::Rung rung) {
    // A trampoline on a function that is not there would fail the whole object.
    if (std::string_view(bpf_program__section_name(program)).ends_with(kCall32) &&
        libbpf_find_vmlinux_btf_id(kCall32, BPF_TRACE_FEXIT) < 0)
        return false;
    for (const Hook &hook : ioctl_hooks_of(rung)) {
        if (std::string_view(hook.program) == bpf_program__name(program))
            return true;
    }
    return false;
}

} // namespace

bool has_ioctl_hooks(pb::Rung rung) {
    return !ioctl_hooks_of(rung).empty();
}

void IoctlHooks::Destroy::operator()(bpf_object *object) const {
    bpf_object__close(object);
}
void IoctlHooks::Destroy::operator()(bpf_link *link) const {
    bpf_link__destroy(link);
}

Result<IoctlHooks> IoctlHooks::load(std::span<const std::byte> elf, pb::Rung rung) {
    IoctlHooks hooks;
    hooks.rung_ = rung;
    hooks.object_.reset(bpf_object__open_mem(elf.data(), elf.size(), nullptr));
    if (!hooks.object_)
        return errno_error("open the programs on ioctl");
    bpf_program *program = nullptr;
    bpf_object__for_each_program(program, hooks.object_.get())
        bpf_program__set_autoload(program, is_wanted(program, rung));
    if (bpf_object__load(hooks.object_.get()) != 0)
        return errno_error("load the programs on ioctl");
    malloc_trim(0); // the kernel's BTF, read to relocate the programs, is several MiB
    return hooks;
}

Status IoctlHooks::attach(uint32_t number) {
    uint32_t only = 0;
    if (bpf_map_update_elem(map("control"), &only, &number, BPF_ANY) != 0)
        return errno_error("name the control file");
    for (const Hook &hook : ioctl_hooks_of(rung_)) {
        bpf_program *program = bpf_object__find_program_by_name(object_.get(), hook.program);
        if (program == nullptr || bpf_program__fd(program) < 0)
            continue; // not wanted on this kernel
        auto link = tally::attach(hook, program);
        if (!link && hook.needed) {
            links_.clear();
            return link.error();
        }
        if (link)
            links_.emplace_back(*link);
    }
    return ok();
}

int IoctlHooks::map(const char *name) const {
    return bpf_object__find_map_fd_by_name(object_.get(), name);
}

} // namespace tally
