// Whether NVIDIA's MIG instances come or go. Nothing tells of it (inventory/nvidia.h): no uevent,
// and procfs has no inotify. So the driver's directories are listed once a second, while it has
// any: 0.005 % of a processor with eight undivided GPUs, 0.04 % with eight of seven instances each
// (measured on one that takes 5 us to list a directory).
#pragma once

#include "agent/record/devices.h"
#include "base/fd.h"

#include <string>

namespace tally {

class MigWatch {
public:
    static Result<MigWatch> start(DeviceRoots roots = {});
    int fd() const { return timer_.get(); } // readable: check() is due

    // Whether the instances are others than the last time, or this is the first.
    bool check();
    // Devices were looked for: watches from now on if there is a driver to watch, else no more.
    Status looked();

private:
    MigWatch(Fd timer, DeviceRoots roots) : timer_(std::move(timer)), roots_(std::move(roots)) {}

    Fd timer_;
    DeviceRoots roots_;
    std::string layout_; // before devices were looked for because of it: nothing falls between
    bool armed_ = false;
};

} // namespace tally
