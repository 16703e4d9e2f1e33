// unknown-device: a device was held that the device table does not know.
//
// Proves: the host saw a device with this PCI id held or opened, and the table that this auditor
// reads (config/devices.toml) has no such id: what was held is recorded in full, what it can do is
// not known. Does not prove: that it is an accelerator at all (a display has the same kind of
// nodes), nor that it is new. Devices without a PCI id are not judged: the configuration names
// them, or they are on no PCI bus. One finding for each host and device.
#include "base/text.h"
#include "findings/rule.h"

namespace tally {

namespace {

class UnknownDeviceRule : public Rule {
public:
    explicit UnknownDeviceRule(std::set<std::string> known) : known_(std::move(known)) {}

    void see(const Entry &entry, std::span<const Gap>, Found &found) override {
        for (const pb::Usage &usage : entry.statement().usage()) {
            const pb::Device *device = entry.device(usage);
            if (device == nullptr ||
                (usage.held_ns() == 0 && usage.opens() == 0 && usage.found() == 0))
                continue;
            for (const std::string &id : pci_ids(device->pci_id())) {
                if (!known_.contains(id))
                    found.repeat(entry, "unknown-device",
                                 printable(device->id()) +
                                     " was held, and the device table does "
                                     "not know its PCI id " +
                                     printable(id),
                                 [](const std::string &text, const Found::Repeated &seen) {
                                     return text + in_statements(seen);
                                 });
            }
        }
    }

private:
    std::set<std::string> known_;
};

} // namespace

std::unique_ptr<Rule> unknown_device_rule(const Limits &limits) {
    return std::make_unique<UnknownDeviceRule>(limits.known_devices);
}

} // namespace tally
