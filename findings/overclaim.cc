// overclaim: a statement says what cannot be.
//
// Proves: the statement contradicts itself or the host's own earlier ones: held longer than its
// window, held without a file, of a device that no inventory names, recorded before it began, or a
// time of one boot told twice. A sound agent cannot sign such a thing.
// Does not prove: which of the numbers is wrong. Figures take what was signed as it is. One device
// held on two hosts at once is judged in device_moved.cc.
#include "base/text.h"
#include "findings/rule.h"

namespace tally {

namespace {

class OverclaimRule : public Rule {
public:
    void see(const Entry &entry, std::span<const Gap>, Found &found) override {
        for (const Breach &breach : entry.opened.impossible)
            found.add(entry, "overclaim", printable(breach.reason));
        std::set<uint32_t> unknown; // devices
        for (const pb::Usage &usage : entry.statement().usage()) {
            if (entry.device(usage) != nullptr)
                continue;
            unknown.insert(usage.device());
            found.add(entry, "overclaim",
                      "usage of device " + std::to_string(usage.device()) +
                          ", which is not in the inventory");
        }
        for (const pb::Occupancy &row : entry.statement().occupancy()) {
            if (entry.device(row.device()) == nullptr && unknown.insert(row.device()).second)
                found.add(entry, "overclaim",
                          "occupancy of device " + std::to_string(row.device()) +
                              ", which is not in the inventory");
        }
        if (entry.place.told_twice_ns > 0)
            found.add(entry, "overclaim",
                      "the window begins " + duration(entry.place.told_twice_ns) +
                          " before the one before it ended: that time is told twice");
    }
};

} // namespace

std::unique_ptr<Rule> overclaim_rule() {
    return std::make_unique<OverclaimRule>();
}

} // namespace tally
