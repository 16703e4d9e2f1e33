// A tree laid out as sysfs and procfs, in a directory of the test's own: written line by line, or
// unpacked from tests/vectors/devices/NAME.tree, whose head says how.
#pragma once

#include "agent/record/devices.h"
#include "tests/unit/agent/scratch.h"

#include <string>
#include <string_view>

namespace tally {

class DeviceTree {
public:
    DeviceTree();
    explicit DeviceTree(const std::string &name);

    void file(const std::string &path, std::string_view contents);
    void link(const std::string &path, const std::string &target);
    void directory(const std::string &path);
    void remove(const std::string &path);

    const std::string &path() const { return scratch_.path(); }
    DeviceRoots roots() const { return {path() + "/sys", path() + "/proc"}; }
    std::vector<Device> devices() const { return discover_devices(roots(), {}).devices; }

private:
    void unpack(std::string_view line);
    Scratch scratch_;
};

// All that is said of a device, on one line: "pci:0000:1b:00.0 | vendor NVIDIA | ...".
std::string described(const Device &device);

} // namespace tally
