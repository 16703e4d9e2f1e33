// What the kernel side's guard saw, in words: who did what to the agent, to its kernel objects, or
// to a watched device behind its driver's back. The ring stays in the kernel: what happened while
// no agent ran is read by the next one.
#pragma once

#include "attest/statement.pb.h"
#include "base/result.h"
#include "bpf/wire.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

struct ring_buffer;

namespace tally {

namespace pb = tallystick::v1;

struct Deed {
    pb::Event::Kind kind;
    std::string detail;
    uint64_t boottime_ns = 0;
    bool operator==(const Deed &) const = default;
};

// What is known in user space of the numbers in a record.
struct DeedNames {
    std::function<std::string(uint64_t workload)> workload;           // cgroup path; empty: unknown
    std::function<std::string(wire_object_kind, uint32_t id)> object; // empty: unknown
    std::function<bool(const std::string &pci_address)> watched;
    uint32_t agent = 0; // what this process did to its own objects is no deed
};

// One event for each, but one for all objects that a process took.
std::vector<Deed> tell_deeds(const std::vector<wire_guard> &records, const DeedNames &names);

class DeedRing {
public:
    static Result<DeedRing> open(int map);
    // All that was recorded since the last call, by whichever agent.
    std::vector<wire_guard> read();

private:
    struct Free {
        void operator()(ring_buffer *ring) const;
    };
    // The ring's callback keeps its address.
    std::unique_ptr<std::vector<wire_guard>> records_;
    std::unique_ptr<ring_buffer, Free> ring_;
};

} // namespace tally
