#include "attest/balance.h"

#include "base/text.h"

#include <algorithm>

namespace tally {

bool WindowBalance::goes_on(const pb::Statement &part) const {
    return seen_ > 0 && part.part() == seen_ && part.parts() == parts_ &&
           part.boot_id() == boot_id_ && part.window().begin_boottime_ns() == begin_ns_;
}

bool WindowBalance::add(const pb::Statement &part) {
    if (!goes_on(part)) {
        *this = {};
        if (part.part() != 0)
            return false;
        boot_id_ = part.boot_id();
        begin_ns_ = part.window().begin_boottime_ns();
        parts_ = part.parts();
        tells_ = part.recording().tells_occupancy();
        tolerance_ns_ = kCountedTogetherNs;
        for (uint64_t reading :
             {part.recording().reading_ns(), part.recording().begin_reading_ns()}) {
            add_to(tolerance_ns_, reading);
            add_to(tolerance_ns_, reading);
        }
    }
    seen_++;
    for (const pb::Usage &usage : part.usage()) {
        DeviceBalance &device = devices_[usage.device()];
        device.rows++;
        add_to(device.held_ns, usage.held_ns());
        device.most_held_ns = std::max(device.most_held_ns, usage.held_ns());
    }
    for (const pb::Occupancy &row : part.occupancy()) {
        DeviceBalance &device = devices_[row.device()];
        add_to(device.occupied_ns, row.occupied_ns());
        add_to(device.late_ns, row.late_ns());
    }
    return seen_ == parts_;
}

std::vector<Imbalance> WindowBalance::imbalances() const {
    std::vector<Imbalance> found;
    if (!tells_)
        return found;
    for (const auto &[index, device] : devices_) {
        uint64_t least = device.occupied_ns;
        add_to(least, tolerance_ns_);
        uint64_t most = device.held_ns;
        add_to(most, tolerance_ns_);
        add_to(most, device.late_ns);
        std::string occupied = "occupied for " + duration(device.occupied_ns) + ", but ";
        if (device.most_held_ns > least)
            found.push_back(
                {index, occupied + "held by one workload for " + duration(device.most_held_ns)});
        if (device.occupied_ns > most)
            found.push_back(
                {index, occupied + (device.rows == 0 ? "held by nobody"
                                                     : "held by all that are named for " +
                                                           duration(device.held_ns))});
    }
    return found;
}

} // namespace tally
