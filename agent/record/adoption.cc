// What an agent before this one left pinned: whether it is all there, what of it can be used as it
// stands, and what only to read its totals a last time.
#include "agent/record/kernel_side.h"

#include <bpf/bpf.h>
#include <cerrno>

namespace tally {

namespace {

Result<Fd> program_of(int link) {
    bpf_link_info info = {};
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(link, &info, &size) != 0)
        return errno_error("ask a link for its program");
    Fd program(bpf_prog_get_fd_by_id(info.prog_id));
    if (!program)
        return errno_error("open the program of a link");
    return program;
}

} // namespace

Status KernelSide::adopt_maps(const std::string &set) {
    for (const std::string &name : pins_->objects(set)) {
        auto map = pins_->get(set, name);
        if (!map)
            return map.error();
        maps_[name] = std::move(*map);
    }
    // A set is pinned name by name; one that a crash left unfinished was never counted into.
    if (!maps_.contains("state")) {
        maps_.clear();
        return pins_->remove(set);
    }
    return map_state_if_complete(set);
}

// A map whose pin somebody removed is lost, and its hooks' counting with it: nothing of the set is
// of use.
Status KernelSide::map_state_if_complete(const std::string &set) {
    auto missing = missing_map();
    if (!missing)
        return missing.error();
    if (!missing->empty()) {
        lost_pins_ = "map " + *missing;
        maps_.clear();
        return pins_->remove(set);
    }
    TALLY_TRY(map_state());
    adopted_rung_ = static_cast<pb::Rung>(state_->rung);
    adopted_ = true;
    return ok();
}

// A hook whose pin was removed went with the agent that had it. Which ones an agent of another
// version had is not known, but how many.
void KernelSide::count_hooks() {
    size_t found = pins_->objects("new-hooks").size();
    for (const std::string &set : pins_->sets("hooks-")) {
        if (set.ends_with(maps_set_.substr(sizeof("maps-") - 1)))
            found += pins_->objects(set).size();
    }
    if (found >= state_->hooks)
        return;
    lost_pins_ =
        std::to_string(state_->hooks - found) + " of " + std::to_string(state_->hooks) + " hooks";
    Instant at = now();
    state_->since_ns = at.boottime_ns;
    state_->since_wall_ns = at.wall_ns;
}

Status KernelSide::adopt_hooks(const std::string &set, pb::Rung rung) {
    std::map<std::string, Attached> links;
    std::vector<HookState> states;
    for (const Hook &hook : hooks_of(rung)) {
        auto link = pins_->get(set, hook.program);
        if (!link && hook.needed)
            return link.error();
        if (!link) {
            states.push_back({hook.program, false, "not attached by the agent before", ""});
            continue;
        }
        auto program = program_of(link->get());
        if (!program)
            return program.error();
        states.push_back({hook.program, true, "", tag_of(program->get())});
        links[hook.program] = {std::move(*link), std::move(*program)};
    }
    links_ = std::move(links);
    hooks_set_ = set;
    hook_states_.insert(hook_states_.end(), states.begin(), states.end());
    rung_ = rung;
    return ok();
}

// Another layout, or other capacities: its totals are read once more, by the names of their
// members.
Status KernelSide::inherit(const std::string &set) {
    auto usage = pins_->get(set, "usage");
    if (!usage)
        return ok(); // unfinished: never counted into
    inherited_ = std::move(*usage);
    if (auto devices = pins_->get(set, "devices"))
        inherited_devices_ = std::move(*devices);
    return ok();
}

Status KernelSide::forget_inherited() {
    inherited_.reset();
    for (const char *kind : {"hooks-", "maps-"}) {
        for (const std::string &set : pins_->sets(kind)) {
            if (set != maps_set_ && !set.ends_with(maps_set_.substr(sizeof("maps-") - 1)))
                TALLY_TRY(pins_->remove(set));
        }
    }
    return ok();
}

} // namespace tally
