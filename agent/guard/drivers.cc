#include "agent/guard/drivers.h"

#include <filesystem>

namespace tally {

namespace fs = std::filesystem;

Drivers::Drivers(Note note, std::string sys) : note_(std::move(note)), sys_(std::move(sys)) {
}

void Drivers::watch(const std::vector<std::string> &addresses) {
    for (const std::string &address : addresses) {
        if (!drivers_.contains(address))
            drivers_[address] = read_driver(address);
    }
}

std::string Drivers::driver_of(const std::string &address) const {
    auto known = drivers_.find(address);
    return known == drivers_.end() ? std::string() : known->second;
}

void Drivers::on_uevent(const Uevent &event) {
    auto known = drivers_.find(event.pci_address);
    if (event.subsystem != "pci" || event.synthetic || known == drivers_.end())
        return;
    if (event.action == "bind" && !event.driver.empty())
        now(known->first, known->second, event.driver);
    else if (event.action == "unbind") // names no driver: it is gone (drivers/base/dd.c)
        now(known->first, known->second, "");
}

void Drivers::look() {
    for (auto &[address, driver] : drivers_)
        now(address, driver, read_driver(address));
}

std::string Drivers::read_driver(const std::string &address) const {
    std::error_code none;
    return fs::read_symlink(sys_ + "/bus/pci/devices/" + address + "/driver", none)
        .filename()
        .string();
}

void Drivers::now(const std::string &address, std::string &driver, const std::string &found) {
    if (driver == found)
        return;
    if (!driver.empty())
        note_(pb::Event::KIND_DRIVER_UNBOUND, address + " from " + driver);
    if (!found.empty())
        note_(pb::Event::KIND_DRIVER_BOUND, address + " to " + found);
    driver = found;
}

} // namespace tally
