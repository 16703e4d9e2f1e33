// The kernel side as the agent sees it: loads the programs, attaches the best rung of the ladder
// that this kernel offers, keeps the device numbers current, scans, and takes snapshots.
#pragma once

#include "agent/record/snapshot.h"
#include "attest/statement.pb.h"
#include "base/fd.h"
#include "base/result.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

struct hold_bpf;
struct bpf_link;
struct ring_buffer;
struct wire_edge;

namespace tally {

namespace pb = tallystick::v1;

struct RecorderConfig {
    std::optional<pb::Rung> rung; // force one; else the best that attaches
    uint32_t usage_capacity = 4096;
    uint32_t holder_capacity = 16384;
};

struct HookState {
    std::string name; // the program, as in bpf/hold.bpf.c
    bool attached = false;
    std::string reason; // why not
    std::string tag;    // BPF program tag, hex
};

class Recorder {
public:
    using EdgeHandler = std::function<void(const wire_edge &)>;

    // Recording starts here; files that are open already count from the first scan on. `on_edge` is
    // called from read_edges() and must outlive nothing but the recorder.
    static Result<std::unique_ptr<Recorder>> start(const RecorderConfig &config,
                                                   EdgeHandler on_edge);
    ~Recorder();

    pb::Rung rung() const { return rung_; }
    const std::vector<HookState> &hooks() const { return hooks_; }
    // Before this instant nothing was recorded: the first window begins here.
    Instant started() const { return started_; }

    // Makes the kernel's device table equal to `numbers` (WIRE_DEVICE_NUMBER -> device index).
    Status watch(const std::map<uint32_t, uint32_t> &numbers);

    // One pass over all descriptor tables of the machine.
    Status scan();
    bool anything_held() const;

    Result<Snapshot> snapshot();

    int edges_fd() const; // readable when a hold began
    void read_edges();

private:
    Recorder(EdgeHandler on_edge);
    Status load(pb::Rung rung, const RecorderConfig &config);
    Status attach_opens();
    Status read_usage(Snapshot &snapshot);
    Status read_losses(Snapshot &snapshot) const;
    Status forget_idle(Snapshot &snapshot) const;

    struct Unload {
        void operator()(hold_bpf *skeleton) const;
        void operator()(bpf_link *link) const;
        void operator()(ring_buffer *ring) const;
    };
    EdgeHandler on_edge_;
    pb::Rung rung_ = pb::RUNG_UNSPECIFIED;
    std::vector<HookState> hooks_;
    std::unique_ptr<hold_bpf, Unload> skeleton_;
    std::vector<std::unique_ptr<bpf_link, Unload>> links_;
    std::unique_ptr<bpf_link, Unload> scan_link_;
    std::unique_ptr<ring_buffer, Unload> edges_;
    std::map<uint32_t, uint32_t> watched_;
    std::map<UsageKey, UsageTotals> last_usage_;
    Instant started_;
    uint64_t last_snapshot_ns_ = 0;
    uint64_t scans_ = 0;
    uint64_t last_scan_ns_ = 0;
    uint64_t longest_scan_gap_ns_ = 0;
};

} // namespace tally
