// The kernel side as the rest of the agent sees it: keeps the device numbers current, scans, and
// takes snapshots.
#pragma once

#include "agent/record/kernel_side.h"
#include "agent/record/snapshot.h"
#include "agent/record/usage_map.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

struct ring_buffer;

namespace tally {

class Recorder {
public:
    // `opener` of a WIRE_WORKLOAD_NEW edge; else null.
    using EdgeHandler = std::function<void(const wire_edge &edge, const wire_opener *opener)>;

    // Adopts what an agent before this one left pinned, or starts recording: files that are open
    // already then count from the first scan on. `on_edge` is called from read_edges() and must
    // outlive nothing but the recorder.
    static Result<std::unique_ptr<Recorder>> start(const RecorderConfig &config,
                                                   EdgeHandler on_edge);
    ~Recorder();

    const KernelSide &kernel() const { return kernel_; }
    pb::Rung rung() const { return kernel_.rung(); }
    const std::vector<HookState> &hooks() const { return kernel_.hooks(); }
    // Recording without a pause since.
    Instant started() const;
    // Whether recording went on since before this agent started.
    bool adopted() const { return kernel_.adopted(); }
    pb::Rung adopted_rung() const { return kernel_.adopted_rung(); }
    // Where the statements so far end: the totals of the next snapshot are settled against it.
    void resume(const Snapshot &attested);

    // What was counted until now in maps that could not be adopted, whose totals were `attested` so
    // far; nothing if there are none. They are gone when it returns, and the totals of this
    // recorder's own maps as of the same moment are the beginning of the next window.
    struct HandOver {
        Snapshot inherited;
        Snapshot own;
    };
    Result<std::optional<HandOver>> hand_over(const Snapshot &attested);

    // Makes the kernel's device table equal to `numbers` (WIRE_DEVICE_NUMBER -> device index), and
    // says how many of its entries were not.
    Result<size_t> watch(const std::map<uint32_t, uint32_t> &numbers);

    // One pass over all descriptor tables of the machine.
    Status scan();
    uint64_t scans() const { return scans_; }
    // Whether scans also say which process has which device's file.
    void want_holdings(bool wanted) { kernel_.state().wants_holdings = wanted ? 1 : 0; }
    // By the last scan, without our own: a source of work evidence may open a device to ask its
    // driver, and that is no reason to go on asking.
    const std::vector<wire_holding> &holdings() const { return holdings_; }
    // CLOCK_BOOTTIME at the begin of the last scan that came to its end.
    uint64_t last_scan_ns() const { return kernel_.state().last_scan_ns; }
    uint64_t scan_cost_ns() const { return scan_cost_ns_; } // of the last one
    bool anything_held() const { return kernel_.state().holder_count > 0; }
    // Whether edges come as they happen; else only scans bring them.
    bool exact() const { return follows_release(kernel_.rung()); }

    // With the longest gap between scans since forget_gap(), whichever agent scanned.
    Result<Snapshot> snapshot();
    // As of the last scan's begin: whoever let go of a shared file before then is known by its end,
    // and nobody's hold goes on only because the scan has not come by.
    Result<Snapshot> snapshot_of_scan();
    // Frees what held nothing between two snapshots that are attested, if the map is half full.
    // Those in `keep` stay.
    Status make_room(Snapshot &snapshot, const Snapshot &before, const std::set<UsageKey> &keep);

    // The last snapshot is attested, and its gap with it: not before, or an agent that is killed in
    // between takes a gap with it that nobody attests.
    void forget_gap();

    int edges_fd() const; // readable when there is an edge to act on
    void read_edges();

private:
    struct Free {
        void operator()(ring_buffer *ring) const;
    };

    Recorder(KernelSide kernel, EdgeHandler on_edge);
    Status open_edges();
    Result<Snapshot> snapshot_at(const Instant &at);
    Result<std::map<std::string, uint64_t>> read_losses() const;

    KernelSide kernel_;
    EdgeHandler on_edge_;
    std::unique_ptr<ring_buffer, Free> edges_;
    Reading last_;
    uint64_t scans_ = 0;
    std::vector<wire_holding> holdings_;
    Instant scan_began_;
    uint64_t scan_cost_ns_ = 0;
};

} // namespace tally
