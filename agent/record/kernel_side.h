// The kernel side as descriptors: maps, attached hooks, and the shared state. Whether it was loaded
// just now or left pinned by an agent before this one makes no difference to whoever holds it.
//
//   same WIRE_VERSION, same capacities, same programs   everything is adopted as it stands
//   same WIRE_VERSION, same capacities, other programs  the maps are adopted, the hooks replaced
//   anything else                                       afresh; the maps left behind are handed out
//                                                       by their names, to be read a last time
//
// Hooks are replaced without a hole: the new ones are attached while the old ones still count, and
// one store (wire_state.generation) turns counting over.
#pragma once

#include "agent/clock.h"
#include "agent/record/hooks.h"
#include "agent/record/pins.h"
#include "bpf/wire.h"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

struct tally_bpf;

namespace tally {

struct RecorderConfig {
    std::optional<pb::Rung> rung; // force one; else the best that attaches
    uint32_t usage_capacity = 4096;
    uint32_t holder_capacity = 16384;
    std::string pins = Pins::kDefaultDirectory;
};

class KernelSide {
public:
    // An error is the best rung's, if none attached.
    static Result<KernelSide> start(const RecorderConfig &config);

    pb::Rung rung() const { return rung_; }
    const std::vector<HookState> &hooks() const { return hook_states_; }
    int map(const char *name) const { return maps_.at(name).get(); }
    int scan_link() const { return links_.at("scan").link.get(); }
    // Program name -> its descriptor, for what the kernel counts of it.
    std::map<std::string, int> programs() const;
    wire_state &state() const { return *state_; }

    // All kernel objects by which the recording lives, and where each is pinned.
    struct Held {
        std::string name;
        wire_object_kind kind;
        int fd;
        std::string set; // in pins(); empty: not pinned
    };
    std::vector<Held> held() const;
    const std::optional<Pins> &pins() const { return pins_; }
    // What was gone of the pins that an agent on this boot left; empty: nothing.
    const std::string &lost_pins() const { return lost_pins_; }

    // The maps were there already, with what they counted since state().since_ns.
    bool adopted() const { return adopted_; }
    // On which rung they did so until now.
    pb::Rung adopted_rung() const { return adopted_rung_; }
    // The usage map of an agent whose maps could not be adopted. Its hooks go on counting into it
    // until forget_inherited(). Null: there is none.
    const Fd *inherited_usage() const { return inherited_.get() >= 0 ? &inherited_ : nullptr; }
    Status forget_inherited();

private:
    struct Attached {
        Fd link;
        Fd program;
    };
    struct Unmap {
        void operator()(wire_state *state) const;
    };

    KernelSide() = default;
    Status adopt_maps(const std::string &set);
    Status map_state_if_complete(const std::string &set);
    Result<std::string> missing_map() const; // one that belongs in maps_; empty: none
    void count_hooks();
    Status adopt_hooks(const std::string &set, pb::Rung rung);
    Status inherit(const std::string &set);
    Status install(pb::Rung rung, const RecorderConfig &config, const std::string &set);
    Status load(tally_bpf *skeleton, pb::Rung rung, const RecorderConfig &config,
                const std::set<std::string> &without) const;
    Status attach_hooks(tally_bpf *skeleton, pb::Rung rung, const std::set<std::string> &without);
    Status take_maps(tally_bpf *skeleton);
    Status pin() const;
    Status settle_pins(const std::string &set) const;
    Status map_state();
    void turn_over(pb::Rung rung);

    std::optional<Pins> pins_;
    std::string maps_set_;
    std::string hooks_set_; // empty: not pinned
    std::string lost_pins_;
    pb::Rung rung_ = pb::RUNG_UNSPECIFIED;
    std::map<std::string, Fd> maps_;
    std::map<std::string, Attached> links_;
    std::vector<HookState> hook_states_;
    std::unique_ptr<wire_state, Unmap> state_;
    bool adopted_ = false;
    pb::Rung adopted_rung_ = pb::RUNG_UNSPECIFIED;
    Fd inherited_; // its usage map
    Fd inherited_devices_;
};

} // namespace tally
