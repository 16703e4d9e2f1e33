// The recording as the host's own account of it: what the kernel counted becomes, once a window, a
// signed statement in the chain. Takes up where an agent before this one was interrupted.
#pragma once

#include "agent/config.h"
#include "agent/guard/guard.h"
#include "agent/guard/kernel_guard.h"
#include "agent/identity/workloads.h"
#include "agent/record/recorder.h"
#include "agent/statement/chain.h"
#include "agent/statement/disclosure.h"
#include "agent/statement/events.h"
#include "agent/statement/statement.h"
#include "base/log.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace tally {

class Windows {
public:
    // All must outlive this.
    Windows(const Config &config, const Log &log, Chain &chain, Events &events, Guard &guard,
            const Disclosure &disclosure, pb::Agent self)
        : config_(config), log_(log), chain_(chain), events_(events), guard_(guard),
          disclosure_(disclosure), self_(std::move(self)) {}

    // Starts or adopts the recording. An error is the kernel's.
    Status start(const std::string &boot_id, Tenants tenants);
    // "recording 8 devices on rung exact; ..."
    std::string summary() const;

    int edges_fd() const { return recorder_->edges_fd(); }
    void read_edges() { recorder_->read_edges(); }

    // CLOCK_BOOTTIME at which turn() has something to do.
    uint64_t deadline_ns() const {
        return std::min({next_window_ns_, next_scan_ns_, guard_.look_due_ns(), works_.due_ns()});
    }
    // Looks, scans or cuts a window, if that is due. Whether a window was cut: one in which nothing
    // happened may go on.
    Result<bool> turn();
    // The last window, whatever its length.
    Status finish();

    // In force from the next turn on that can cut a window: what was used until then was used under
    // the ones before.
    void set_tenants(Tenants tenants) { next_tenants_ = std::move(tenants); }

private:
    bool edges_can_be_trusted() const { return recorder_->exact() && kernel_guard_->hooks_fire(); }
    uint64_t next_regular_scan_ns() const {
        return last_scan_ns_ + static_cast<uint64_t>(config_.scan_seconds) * kSecond;
    }
    Status look_for_devices();
    Status take_up(const std::string &boot_id);
    Status attest_inherited(Recorder::HandOver totals);
    void restore(const pb::Baseline &baseline);
    void act_on(const wire_edge &edge, const wire_opener *opener);
    void plan_scan();
    Status inspect();
    bool nothing_new(const Snapshot &snapshot) const;
    Result<bool> end_window();
    Status cut_now();
    Status cut(Snapshot snapshot);
    Result<bool> name_anew();
    Result<bool> rename(const std::function<std::vector<Renamed>()> &find);
    std::set<uint64_t> holding(const Snapshot &snapshot) const; // perhaps, too
    void note_changes(const Snapshot &at);
    void adopt(const Snapshot &at);
    void put_in_force(Tenants tenants);
    Result<Snapshot> take_snapshot();
    Status attest_pause();
    Status attest(const Snapshot &until, pb::Rung rung);
    Status scan();
    void look_for_work();
    void note_untracked(const Snapshot &until);
    pb::Baseline baseline_of(const Snapshot &snapshot) const;

    const Config &config_;
    const Log &log_;
    Chain &chain_;
    Events &events_;
    Guard &guard_;
    const Disclosure &disclosure_;
    pb::Agent self_;
    std::unique_ptr<Workloads> workloads_;
    std::unique_ptr<Recorder> recorder_;
    Inventory inventory_;
    Works works_;
    std::unique_ptr<KernelGuard> kernel_guard_;

    std::optional<Tenants> next_tenants_;
    std::vector<Renamed> renamed_; // from the end of this window on
    bool restored_ = false;        // names are an earlier agent's still

    std::vector<std::string> device_problems_;
    Snapshot last_;                // at the end of the window before
    std::set<UsageKey> untracked_; // had files without room by then, which may still be held
    Instant window_begin_;         // which that end is, also across a restart
    uint64_t since_ns_ = 0;        // boottime: recording without a pause
    bool introduce_ = true;        // the next statement brings the inventory
    uint64_t introduced_ns_ = 0;   // boottime
    uint64_t next_window_ns_ = 0;
    uint64_t next_scan_ns_ = 0;
    uint64_t last_scan_ns_ = 0;
    bool looked_ = false;
    bool widening_ = false; // the spool is full
    bool idle_ = false;     // the window was due, but there is nothing to say
};

} // namespace tally
