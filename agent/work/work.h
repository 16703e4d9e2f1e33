// Evidence of use inside a hold. A source is a module of its own in this room: it says what it saw
// of whose work, with what grade, or why it sees nothing. What no source saw is not zero, it is
// unknown; held time is never called busy.
#pragma once

#include "agent/record/devices.h"
#include "attest/statement.pb.h"
#include "bpf/wire.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tally {

namespace pb = tallystick::v1;

// What there is to look at. References hold during the call.
struct Look {
    // Every descriptor of a watched device, as the last scan found it: (process in the host's
    // numbering, descriptor, device index, workload).
    const std::vector<wire_holding> &holdings;
    const std::map<uint32_t, Device> &devices; // the inventory, by index
    uint64_t boottime_ns;
    pb::Rung rung; // of the recording: what hooks this kernel takes
};

// Whose work, on what. Without a device: the source cannot tell the workload's devices apart.
// Without a workload (0): the device's as a whole.
struct WorkKey {
    uint64_t workload = 0;
    std::optional<uint32_t> device;
    std::string engine; // the driver's word ("gfx", "compute"); empty: the device
    auto operator<=>(const WorkKey &) const = default;
};

struct WorkFigures {
    std::optional<uint64_t> busy_ns; // nothing: the source counts, but does not time
    uint32_t capacity = 1;           // engines behind it that can be busy at once
    uint32_t active_seconds = 0;     // seconds of CLOCK_BOOTTIME in which there was any activity
    uint64_t memory_bytes = 0;       // the most that was seen at once
    std::map<std::string, uint64_t> counts; // "launches", "copies", "interrupts" ...
};
using WorkRows = std::map<WorkKey, WorkFigures>;

class WorkSource {
public:
    virtual ~WorkSource() = default;
    virtual const char *name() const = 0;
    virtual pb::Grade grade() const = 0;
    // Why it sees nothing at present, or not all, in one line; empty: it is at work.
    virtual std::string absence() const = 0;
    // About once a second while anything is held, and once when nothing is any more. Attaches what
    // it needs to for these holdings, and lets go of it after them.
    virtual void look(const Look &look) = 0;
    // What it saw since the last call, up to now: just after the window's end, which is told.
    virtual WorkRows take(uint64_t boottime_ns) = 0;
};

} // namespace tally
