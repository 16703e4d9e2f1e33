#include "agent/record/kernel_side.h"

#include "agent/record/map_keys.h"
#include "attest/crypto.h"
#include "base/bytes.h"

#include "bpf/tally.skel.h"
#include <algorithm>
#include <bpf/bpf.h>
#include <cerrno>
#include <fcntl.h>
#include <malloc.h>
#include <sys/mman.h>

namespace tally {

namespace {

struct Close {
    void operator()(tally_bpf *skeleton) const { tally_bpf__destroy(skeleton); }
    void operator()(bpf_link *link) const { bpf_link__destroy(link); }
};
using Skeleton = std::unique_ptr<tally_bpf, Close>;

// Names the programs: agents with other programs replace them.
std::string object_digest() {
    size_t size = 0;
    const void *elf = tally_bpf__elf_bytes(&size);
    Digest digest = sha256({static_cast<const uint8_t *>(elf), size});
    return to_hex({digest.data(), 8});
}

Fd duplicate(int fd) {
    return Fd(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

std::string sentence(pb::Rung rung, const Error &error) {
    return "rung " + rung_name(rung) + ": " + error.message +
           (rung == pb::RUNG_SCANNED
                ? ""
                : " (hooks = \"auto\" takes the best that this kernel offers)");
}

// An object loads as a whole or not at all: which programs were it, and what did the kernel say?
std::vector<HookState> refused_programs(pb::Rung rung) {
    std::vector<HookState> refused;
    for (const Hook &hook : hooks_of(rung)) {
        Skeleton skeleton(tally_bpf__open());
        if (!skeleton)
            break;
        bpf_program *program = nullptr;
        bpf_object__for_each_program(program, skeleton->obj) bpf_program__set_autoload(
            program, std::string_view(hook.program) == bpf_program__name(program));
        if (tally_bpf__load(skeleton.get()) != 0)
            refused.push_back({hook.program, false, errno_error("load").message, ""});
    }
    return refused;
}

bool is_needed(pb::Rung rung, const std::string &program) {
    const std::vector<Hook> &hooks = hooks_of(rung);
    return std::any_of(hooks.begin(), hooks.end(),
                       [&](const Hook &hook) { return hook.needed && program == hook.program; });
}

void copy_entries(int from, int to) {
    uint32_t value = 0;
    for (uint32_t key : map_keys<uint32_t>(from)) {
        if (bpf_map_lookup_elem(from, &key, &value) == 0)
            bpf_map_update_elem(to, &key, &value, BPF_ANY);
    }
}

} // namespace

void KernelSide::Unmap::operator()(wire_state *state) const {
    munmap(state, sizeof(*state));
}

Result<KernelSide> KernelSide::start(const RecorderConfig &config) {
    libbpf_set_print(nullptr); // its warnings reach the user through our one line
    KernelSide side;
    std::string capacities =
        std::to_string(config.usage_capacity) + "-" + std::to_string(config.holder_capacity);
    side.maps_set_ = "maps-v" + std::to_string(WIRE_VERSION) + "-" + capacities;
    if (auto pins = Pins::open(config.pins)) {
        side.pins_ = std::move(*pins);
        TALLY_TRY(side.pins_->lock());
    } else {
        side.hook_states_.push_back({"pins", false, pins.error().message, ""});
    }
    if (side.pins_) {
        for (const std::string &set : side.pins_->sets("maps-")) {
            TALLY_TRY(set == side.maps_set_ ? side.adopt_maps(set) : side.inherit(set));
        }
    }

    if (side.adopted_)
        side.count_hooks();

    std::string digest = object_digest();
    std::string asked = config.rung ? rung_name(*config.rung) : "auto";
    std::optional<Error> first;
    std::string rest =
        "-" + asked + "-" + digest + "-" + side.maps_set_.substr(sizeof("maps-") - 1);
    for (pb::Rung rung : ladder(config.rung)) {
        std::string set = "hooks-";
        set.append(rung_name(rung)).append(rest);
        if (side.adopted_ && side.lost_pins_.empty() && side.adopt_hooks(set, rung))
            return side;
        Status installed = side.install(rung, config, set);
        if (installed)
            return side;
        side.hook_states_.push_back({rung_name(rung), false, installed.error().message, ""});
        if (!first)
            first = Error{sentence(rung, installed.error())};
    }
    return *first;
}

std::map<std::string, int> KernelSide::programs() const {
    std::map<std::string, int> programs;
    for (const auto &[name, attached] : links_)
        programs[name] = attached.program.get();
    return programs;
}

std::vector<KernelSide::Held> KernelSide::held() const {
    std::vector<Held> held;
    std::string maps_set = hooks_set_.empty() ? "" : maps_set_;
    for (const auto &[name, fd] : maps_)
        held.push_back({name, WIRE_MAP, fd.get(), maps_set});
    for (const auto &[name, attached] : links_) {
        held.push_back({name, WIRE_PROGRAM, attached.program.get(), ""});
        held.push_back({name, WIRE_LINK, attached.link.get(), hooks_set_});
    }
    return held;
}

// ---- What this one brings ----

Status KernelSide::install(pb::Rung rung, const RecorderConfig &config, const std::string &set) {
    Skeleton skeleton(tally_bpf__open());
    if (!skeleton)
        return errno_error("open the BPF object");
    size_t states_before = hook_states_.size();
    links_.clear();
    Status done = load(skeleton.get(), rung, config, {});
    std::set<std::string> without;
    if (!done) {
        for (const HookState &refused : refused_programs(rung)) {
            if (is_needed(rung, refused.name))
                return Error{refused.name + ": " + refused.reason};
            hook_states_.push_back(refused);
            without.insert(refused.name);
        }
        skeleton.reset(tally_bpf__open());
        done = skeleton ? load(skeleton.get(), rung, config, without) : done;
    }
    if (done)
        done = attach_hooks(skeleton.get(), rung, without);
    if (done && !adopted_)
        done = take_maps(skeleton.get());
    if (!done) {
        hook_states_.resize(states_before);
        return done;
    }
    Status pinned = pins_ ? pin() : ok();
    rung_ = rung;
    turn_over(rung);
    state_->hooks = 0;
    if (pins_ && pinned)
        pinned = settle_pins(set);
    if (pins_ && pinned) {
        hooks_set_ = set;
        state_->hooks = static_cast<uint32_t>(links_.size());
    }
    if (!pinned)
        hook_states_.push_back({"pins", false, pinned.error().message, ""});
    skeleton.reset();
    malloc_trim(0); // the kernel's BTF, read to relocate the programs, is several MiB
    return ok();
}

Status KernelSide::load(tally_bpf *skeleton, pb::Rung rung, const RecorderConfig &config,
                        const std::set<std::string> &without) const {
    bpf_map__set_max_entries(skeleton->maps.usage, config.usage_capacity);
    bpf_map__set_max_entries(skeleton->maps.holders, config.holder_capacity);
    bpf_map__set_max_entries(skeleton->maps.files, config.holder_capacity);
    skeleton->rodata->generation = (state_ ? state_->generation : 0) + 1;
    for (const auto &[name, fd] : maps_) {
        bpf_map *map = bpf_object__find_map_by_name(skeleton->obj, name.c_str());
        if (map != nullptr && bpf_map__reuse_fd(map, fd.get()) != 0)
            return errno_error("adopt map " + name);
    }
    const std::vector<Hook> &hooks = hooks_of(rung);
    bpf_program *program = nullptr;
    bpf_object__for_each_program(program, skeleton->obj) {
        bool wanted = std::any_of(hooks.begin(), hooks.end(), [&](const Hook &hook) {
            return std::string_view(hook.program) == bpf_program__name(program) &&
                   !without.contains(hook.program);
        });
        bpf_program__set_autoload(program, wanted);
    }
    if (tally_bpf__load(skeleton) != 0)
        return errno_error("load");
    return ok();
}

Status KernelSide::attach_hooks(tally_bpf *skeleton, pb::Rung rung,
                                const std::set<std::string> &without) {
    for (const Hook &hook : hooks_of(rung)) {
        if (without.contains(hook.program))
            continue;
        bpf_program *program = bpf_object__find_program_by_name(skeleton->obj, hook.program);
        std::string tag = tag_of(bpf_program__fd(program));
        auto link = attach(hook, program);
        if (!link) {
            if (hook.needed)
                return Error{std::string(hook.program) + ": " + link.error().message};
            hook_states_.push_back({hook.program, false, link.error().message, tag});
            continue;
        }
        std::unique_ptr<bpf_link, Close> owned(*link);
        links_[hook.program] = {duplicate(bpf_link__fd(owned.get())),
                                duplicate(bpf_program__fd(program))};
        hook_states_.push_back({hook.program, true, "", tag});
    }
    return ok();
}

Status KernelSide::take_maps(tally_bpf *skeleton) {
    bpf_map *map = nullptr;
    bpf_object__for_each_map(map, skeleton->obj) {
        if (!bpf_map__is_internal(map))
            maps_[bpf_map__name(map)] = duplicate(bpf_map__fd(map));
    }
    return map_state();
}

Result<std::string> KernelSide::missing_map() const {
    Skeleton skeleton(tally_bpf__open());
    if (!skeleton)
        return errno_error("open the BPF object");
    std::string missing;
    bpf_map *map = nullptr;
    bpf_object__for_each_map(map, skeleton->obj) {
        if (!bpf_map__is_internal(map) && !maps_.contains(bpf_map__name(map)))
            missing = bpf_map__name(map);
    }
    return missing;
}

// "state" comes last: without it a set is not adopted.
Status KernelSide::pin() const {
    TALLY_TRY(pins_->remove("new-hooks"));
    for (const auto &[name, attached] : links_)
        TALLY_TRY(pins_->put("new-hooks", name, attached.link.get()));
    if (adopted_)
        return ok();
    for (const auto &[name, fd] : maps_) {
        if (name != "state")
            TALLY_TRY(pins_->put(maps_set_, name, fd.get()));
    }
    return pins_->put(maps_set_, "state", map("state"));
}

// The hooks that counted into these maps until now go; those of an inherited set go on.
Status KernelSide::settle_pins(const std::string &set) const {
    for (const std::string &old : pins_->sets("hooks-")) {
        if (old.ends_with(maps_set_.substr(sizeof("maps-") - 1)))
            TALLY_TRY(pins_->remove(old));
    }
    return pins_->rename("new-hooks", set);
}

Status KernelSide::map_state() {
    void *memory =
        mmap(nullptr, sizeof(wire_state), PROT_READ | PROT_WRITE, MAP_SHARED, map("state"), 0);
    if (memory == MAP_FAILED)
        return errno_error("map the recording's state");
    state_.reset(static_cast<wire_state *>(memory));
    return ok();
}

void KernelSide::turn_over(pb::Rung rung) {
    if (inherited_devices_)
        copy_entries(inherited_devices_.get(), map("devices"));
    if (!adopted_) {
        Instant start = now();
        state_->since_ns = state_->scan_number = state_->last_scan_ns = start.boottime_ns;
        state_->since_wall_ns = start.wall_ns;
    }
    state_->follows_release = follows_release(rung) ? 1 : 0;
    state_->rung = static_cast<uint32_t>(rung);
    __atomic_add_fetch(&state_->generation, 1, __ATOMIC_SEQ_CST);
}

} // namespace tally
