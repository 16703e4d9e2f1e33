// From two snapshots to what the host says about the time between them.
#pragma once

#include "agent/identity/workloads.h"
#include "agent/record/devices.h"
#include "agent/record/recorder.h"
#include "agent/record/snapshot.h"
#include "agent/work/works.h"
#include "attest/statement.pb.h"

#include <functional>
#include <set>
#include <vector>

namespace tally {

// What goes with an inventory: at agent start, on change and hourly.
struct Introduction {
    const std::map<uint32_t, Device> &devices;
    const std::vector<HookState> &hooks;
    const pb::Agent &agent;
    const Bytes &certificate; // DER
};

struct WindowFacts {
    Instant begin;     // where the window before ended
    uint64_t since_ns; // boottime since when the recorder records without a pause
    const Snapshot &before;
    const Snapshot &after; // its instant is the window's end
    pb::Rung rung;
    const std::vector<pb::Event> &events;
    const Introduction *introduction; // or null
    // What had open files without room in the window before that may still be held.
    const std::set<UsageKey> &untracked;
    const std::vector<SourcedWork> &work;        // by workload, then device
    const std::vector<pb::SourceState> &sources; // to be said now; or none
};

pb::Device to_message(uint32_t index, const Device &device);
Device from_message(const pb::Device &message);
// `brief`: only what every statement says.
pb::Workload to_message(uint64_t cgroup_id, const Workload &workload, bool brief);
Workload from_message(const pb::Workload &message);

// One statement, or several parts if one attestation could not hold them all. Host, boot, sequence
// and previous are the signer's to fill in.
std::vector<pb::Statement> make_statements(const WindowFacts &facts,
                                           const std::function<pb::Workload(uint64_t)> &name);

} // namespace tally
