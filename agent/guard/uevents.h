// What the kernel says about its devices as it happens: uevents, from the NETLINK_KOBJECT_UEVENT
// socket (lib/kobject_uevent.c). A hint, never the evidence: one may be lost, and root can make the
// kernel repeat one. So a uevent says when to look, and what there is, is read from sysfs.
//
//   message: ACTION "@" DEVPATH NUL *( KEY "=" VALUE NUL )
#pragma once

#include "base/fd.h"
#include "base/result.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tally {

struct Uevent {
    std::string action; // "add", "remove", "bind", "unbind", "change", "move" ...
    std::string devpath;
    std::string subsystem;
    std::string driver;      // empty: none named
    std::string pci_address; // "0000:3b:00.0"; empty: no PCI function
    std::string node;        // below /dev; empty: none
    bool synthetic = false;  // somebody wrote to the device's uevent file
    bool operator==(const Uevent &) const = default;
};

// One message as the kernel sends it; nothing if it is anything else.
std::optional<Uevent> parse_uevent(std::string_view message);

// Whether the devices that a tenant can hold may have changed: PCI functions, mediated devices,
// character device nodes, and modules, for NVIDIA's makes its nodes without a word.
bool concerns_devices(const Uevent &event);

class Uevents {
public:
    static Result<Uevents> open();
    int fd() const { return socket_.get(); }

    struct Batch {
        std::vector<Uevent> events;
        bool lost = false; // some were, or were not to be understood
    };
    // All that has come since the last call. Does not block.
    Batch read();

private:
    explicit Uevents(Fd socket) : socket_(std::move(socket)) {}
    Fd socket_;
};

} // namespace tally
