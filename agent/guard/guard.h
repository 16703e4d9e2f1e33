// The agent's watch over what would blind the record. Nothing is prevented; everything is said:
//
//   the loop     agent stopped, frozen or starved
//   clock        the wall clock set
//   uevents      devices and their drivers, as they come and go
//   mig          NVIDIA's MIG instances, likewise, within a second
//   /proc/self   agent traced
//
// A watcher that cannot be had here is listed with the reason, like a hook, and the rest goes on.
#pragma once

#include "agent/guard/clock_watch.h"
#include "agent/guard/drivers.h"
#include "agent/guard/mig_watch.h"
#include "agent/guard/uevents.h"
#include "agent/loop.h"
#include "agent/record/devices.h"
#include "agent/record/recorder.h"

#include <limits>
#include <memory>
#include <set>
#include <vector>

namespace tally {

class Guard {
public:
    using Note = Drivers::Note;

    // Both must live as long as the loop calls back.
    Guard(Loop &loop, Note note);
    const std::vector<HookState> &hooks() const { return hooks_; }

    // On the boot on which the last statement ended at `last`: what happened since, without us.
    void resume(Instant last);

    // When devices should be looked for because the kernel said something; far away if it did not.
    uint64_t look_due_ns() const { return look_due_ns_; }
    // They were looked for, and this is what there is.
    void looked(const Inventory &inventory);

    // Once a window, before it is cut: what nothing tells of itself.
    void inspect();

private:
    static constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();

    void start(const char *name, const Status &started);
    Status watch_clock(Loop &loop);
    Status watch_uevents(Loop &loop);
    Status watch_mig(Loop &loop);
    void look_soon();
    void read_clock();
    void read_uevents();
    std::string describe(const Device &device) const;

    Note note_;
    std::vector<HookState> hooks_;
    std::optional<ClockWatch> clock_;
    std::optional<Uevents> uevents_;
    std::optional<MigWatch> mig_;
    Drivers drivers_;
    bool introduced_ = false; // devices that are there at the start are no event
    std::set<uint32_t> present_;
    uint64_t look_due_ns_ = kNever;
    uint64_t looked_ns_ = 0;
};

} // namespace tally
