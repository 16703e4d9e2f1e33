// Which driver has each PCI function that is watched. A device whose own driver was taken from it
// can be used without its device node: through VFIO, or by mapping its resources.
#pragma once

#include "agent/guard/uevents.h"
#include "attest/statement.pb.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace tally {

namespace pb = tallystick::v1;

class Drivers {
public:
    using Note = std::function<void(pb::Event::Kind, const std::string &detail)>;
    explicit Drivers(Note note, std::string sys = "/sys");

    // From now on these too: whatever driver they have now is no event.
    void watch(const std::vector<std::string> &addresses);
    // Empty: none, or the address is not watched.
    std::string driver_of(const std::string &address) const;

    // In the order they came, which also shows a driver that was back before we looked.
    void on_uevent(const Uevent &event);
    // Against sysfs, for what no uevent told. Uevents that wait come first, or they are told twice.
    void look();

private:
    std::string read_driver(const std::string &address) const;
    void now(const std::string &address, std::string &driver, const std::string &found);

    Note note_;
    std::string sys_;
    std::map<std::string, std::string> drivers_; // PCI address -> driver
};

} // namespace tally
