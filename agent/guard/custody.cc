#include "agent/guard/custody.h"

#include <bpf/bpf.h>
#include <cerrno>
#include <unistd.h>

namespace tally {

namespace {

constexpr const char *kKindNames[] = {"map", "program", "link"};

// The kernel's id of the object behind a descriptor; 0 (never an id) if there is none.
uint32_t id_of(wire_object_kind kind, int fd) {
    union {
        bpf_map_info map;
        bpf_prog_info program;
        bpf_link_info link;
    } info = {};
    uint32_t size = kind == WIRE_MAP       ? sizeof(info.map)
                    : kind == WIRE_PROGRAM ? sizeof(info.program)
                                           : sizeof(info.link);
    if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0)
        return 0;
    return kind == WIRE_MAP ? info.map.id : kind == WIRE_PROGRAM ? info.program.id : info.link.id;
}

std::string title(const KernelSide::Held &held) {
    return std::string(kKindNames[held.kind]) + " " + held.name;
}

} // namespace

Custody::Custody(const KernelSide &kernel, Note note) : kernel_(kernel), note_(std::move(note)) {
    wire_state &state = kernel.state();
    for (const KernelSide::Held &held : kernel.held()) {
        uint32_t id = id_of(held.kind, held.fd);
        names_[{held.kind, id}] = held.name;
        if (held.kind == WIRE_PROGRAM)
            programs_[held.name] = id;
        state.own[held.kind] = static_cast<uint32_t>(held.fd);
        wire_object object = {held.kind, id};
        uint32_t one = 1;
        bpf_map_update_elem(kernel.map("ours"), &object, &one, BPF_ANY);
    }
    // Last: from now on whoever else takes one is told.
    __atomic_store_n(&state.agent, static_cast<uint32_t>(getpid()), __ATOMIC_SEQ_CST);
}

Custody::~Custody() {
    __atomic_store_n(&kernel_.state().agent, 0, __ATOMIC_SEQ_CST);
}

std::string Custody::name_of(wire_object_kind kind, uint32_t id) const {
    auto known = names_.find({kind, id});
    return known == names_.end() ? std::string() : known->second;
}

void Custody::check() {
    for (const KernelSide::Held &held : kernel_.held()) {
        uint32_t id = id_of(held.kind, held.fd);
        if (id == 0 || name_of(held.kind, id) != held.name) {
            note_(pb::Event::KIND_HOOK_LOST,
                  title(held) + ": the agent's descriptor of it is gone");
            continue;
        }
        if (held.kind == WIRE_LINK)
            check_link(held);
        if (!held.set.empty())
            check_pin(held, id);
    }
}

void Custody::check_link(const KernelSide::Held &held) const {
    bpf_link_info info = {};
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(held.fd, &info, &size) == 0 &&
        info.prog_id != programs_.at(held.name))
        note_(pb::Event::KIND_HOOK_LOST,
              held.name + ": its link has " +
                  (info.prog_id == 0 ? "no program"
                                     : "another program, number " + std::to_string(info.prog_id)));
}

void Custody::check_pin(const KernelSide::Held &held, uint32_t id) {
    const Pins &pins = *kernel_.pins();
    auto pinned = pins.get(held.set, held.name);
    if (pinned && id_of(held.kind, pinned->get()) == id)
        return;
    std::string was = pinned ? "led to something else" : "was gone";
    Status again = pins.put(held.set, held.name, held.fd);
    note_(pb::Event::KIND_PIN_REMOVED,
          title(held) + ": its pin " + was + "; " +
              (again ? "pinned again" : "not to be pinned again: " + again.error().message));
}

} // namespace tally
