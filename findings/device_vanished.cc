// device: a device that a host had is in its inventory no more, or became another one.
//
// Proves: an earlier inventory of this host names the device (by its stable id), a later one does
// not; or the same id has another UUID or PCI id than before.
// Does not prove: that the device left the machine: a broken driver hides it as well. A device that
// comes back is not reported again. Inventories come at start, on change and hourly; what changes
// and changes back in between shows in the agent's own events alone (device_rebound.cc).
#include "base/text.h"
#include "findings/device_uuid.h"
#include "findings/rule.h"

namespace tally {

namespace {

class DeviceVanishedRule : public Rule {
public:
    void see(const Entry &entry, std::span<const Gap>, Found &found) override {
        if (!entry.statement().has_inventory())
            return;
        auto &known = hosts_[entry.statement().host()];
        std::map<std::string, Named> now;
        for (const auto &[index, device] : entry.devices)
            now[device.id()] = {device_uuid(device), device.pci_id()};
        for (auto &[id, before] : known) {
            auto at = now.find(id);
            if (at == now.end())
                found.add(entry, "device", printable(id) + " is in the inventory no more");
            else if (differ(before.uuid, at->second.uuid))
                found.add(entry, "device", changed(id, "UUID", before.uuid, at->second.uuid));
            else if (differ(before.pci_id, at->second.pci_id))
                found.add(entry, "device", changed(id, "PCI id", before.pci_id, at->second.pci_id));
            // A driver that is not loaded yet knows no UUID.
            if (at != now.end() && at->second.uuid.empty())
                at->second.uuid = before.uuid;
        }
        known = std::move(now);
    }

private:
    struct Named {
        std::string uuid;
        std::string pci_id;
    };
    static bool differ(const std::string &before, const std::string &now) {
        return !before.empty() && !now.empty() && before != now;
    }
    static std::string changed(const std::string &id, const char *what, const std::string &before,
                               const std::string &now) {
        return printable(id) + " became another device: " + what + " " + printable(now) +
               " instead of " + printable(before);
    }

    std::map<std::string, std::map<std::string, Named>> hosts_; // last inventory, by device id
};

} // namespace

std::unique_ptr<Rule> device_vanished_rule() {
    return std::make_unique<DeviceVanishedRule>();
}

} // namespace tally
