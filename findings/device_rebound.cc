// device: a device changed hands under the agent's eyes.
//
// Proves: the kernel told the agent that a driver was bound to or unbound from a watched device, or
// that one came or went. From then on the device may be reachable by other ways (vfio instead of
// its own driver), all of them watched. Does not prove: misuse: passing a device through to a guest
// begins like this.
#include "findings/rule.h"

namespace tally {

namespace {

bool is_rebinding(pb::Event::Kind kind) {
    return kind == pb::Event::KIND_DRIVER_BOUND || kind == pb::Event::KIND_DRIVER_UNBOUND ||
           kind == pb::Event::KIND_DEVICE_ADDED || kind == pb::Event::KIND_DEVICE_REMOVED;
}

class DeviceReboundRule : public Rule {
public:
    void see(const Entry &entry, std::span<const Gap>, Found &found) override {
        for (const pb::Event &event : entry.statement().events()) {
            if (is_rebinding(event.kind()))
                found.see_event(entry, "device", event);
        }
    }
};

} // namespace

std::unique_ptr<Rule> device_rebound_rule() {
    return std::make_unique<DeviceReboundRule>();
}

} // namespace tally
