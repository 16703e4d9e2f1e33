// The guard's kernel half, beside a recording: what the guard hooks saw, whether the recording's
// own objects are still in place, and whether its hooks still fire.
#pragma once

#include "agent/guard/canary.h"
#include "agent/guard/custody.h"
#include "agent/guard/deeds.h"
#include "agent/identity/workloads.h"
#include "agent/record/devices.h"
#include "agent/record/recorder.h"
#include "agent/statement/events.h"
#include "base/log.h"

#include <map>
#include <optional>

namespace tally {

class KernelGuard {
public:
    // All must outlive this.
    KernelGuard(const Recorder &recorder, Workloads &workloads, const Inventory &inventory,
                Events &events, const Log &log);

    // The canary, the deed ring: what is not to be had, and why.
    const std::vector<HookState> &hooks() const { return hooks_; }
    // `same_boot`: an agent on this boot attested before, so there should have been pins.
    void taken_up(bool same_boot);
    // Adds the canary to the device numbers to watch.
    void add_canary(std::map<uint32_t, uint32_t> &numbers);
    // Somebody else changed so many entries of the kernel's device table.
    void devices_corrected(size_t entries);

    // Once a window, after its scan and before it is cut.
    void inspect();
    // Whether at the last inspection all hooks fired.
    bool hooks_fire() const { return hooks_fire_; }

private:
    void note(pb::Event::Kind kind, const std::string &detail, uint64_t boottime_ns);
    void read_deeds();
    void try_hooks();

    const Recorder &recorder_;
    Workloads &workloads_;
    const Inventory &inventory_;
    Events &events_;
    const Log &log_;
    std::vector<HookState> hooks_;
    Custody custody_;
    std::optional<DeedRing> deeds_;
    std::optional<Canary> canary_;
    uint64_t scans_ = 0;
    bool hooks_fire_ = true;
};

} // namespace tally
