// Conservation: per device and window, what tenants held, what nobody's workloads held and what was
// idle is all the time there is. Workloads may hold one device at once, so their held times add up
// to more than it was occupied; how long anybody held it is measured apart (Occupancy), and this
// holds the one against the other. The agent, the collector and the auditor run this code.
//
// Between a window's end and the reading of its totals edges go on. One that falls there may be in
// a workload's row and not yet in its device's, or the other way round, and is made up for in the
// window after: twice reading_ns at both ends.
#pragma once

#include "attest/statement.pb.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tally {

namespace pb = tallystick::v1;

// Edges of one moment may be counted in another order than that of their times, if a processor is
// interrupted between reading the clock and counting: by a hypervisor, for milliseconds.
constexpr uint64_t kCountedTogetherNs = 100'000'000;

// One device in one window. Untracked files are in neither figure, so lower bounds balance too.
struct DeviceBalance {
    uint64_t rows = 0;         // workloads
    uint64_t held_ns = 0;      // summed
    uint64_t most_held_ns = 0; // by one of them
    uint64_t occupied_ns = 0;  // by anybody; 0: there is no row
    uint64_t late_ns = 0;      // of that, nobody's at most
};

struct Imbalance {
    uint32_t device = 0; // Device.index
    std::string what;    // one line
};

// The parts of one window, put together.
class WindowBalance {
public:
    // The parts of a window in order; another window's first part begins anew. Whether this was the
    // last, and all were there.
    bool add(const pb::Statement &part);

    const std::map<uint32_t, DeviceBalance> &devices() const { return devices_; }
    bool tells_occupancy() const { return tells_; }
    // Of a complete window. None where occupancy is not told: agents before it was measured.
    //   what one workload held <= occupied <= what all of them held together
    std::vector<Imbalance> imbalances() const;

private:
    bool goes_on(const pb::Statement &part) const;

    std::string boot_id_;
    uint64_t begin_ns_ = 0; // CLOCK_BOOTTIME
    uint32_t parts_ = 0;
    uint32_t seen_ = 0; // parts of it, without a hole; 0: one is missing
    bool tells_ = false;
    uint64_t tolerance_ns_ = 0;
    std::map<uint32_t, DeviceBalance> devices_;
};

} // namespace tally
