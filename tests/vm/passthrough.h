// PCI functions handed to guests as libvirt and QEMU do it, and the cgroups that they run in.
#pragma once

#include "base/fd.h"

#include <cstdint>
#include <functional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace tally {

// Polls until it is true; false when the time is up.
bool until(const std::function<bool()> &condition, unsigned milliseconds = 20000);

void write_attribute(const std::string &path, const std::string &value);

// The functions that tests/vm/boot --vfio adds (PCI class "other display"): "0000:01:00.0".
std::vector<std::string> spare_functions();

// Loads VFIO, and iommufd where there is one. Emulated interrupts are not remapped, which both
// refuse unless told otherwise.
void load_vfio();
bool has_iommufd();

// A PCI function that vfio-pci drives, for as long as this lives.
class PassedThrough {
public:
    explicit PassedThrough(std::string address);
    PassedThrough(const PassedThrough &) = delete;
    PassedThrough &operator=(const PassedThrough &) = delete;
    ~PassedThrough();

    const std::string &address() const { return address_; }
    std::string name_in_report() const { return "pci:" + address_; }
    std::string group() const;       // "/dev/vfio/7"
    std::string device_file() const; // "/dev/vfio/devices/vfio0"; the kernel must have iommufd
    bool is_enabled() const;         // VFIO enables it when its user binds or opens it
    // Writes 1: "reset", "remove".
    void poke(const std::string &attribute) const;
    // Has vfio-pci drive it; again after it came back to the bus.
    void bind() const;

private:
    std::string sysfs() const;
    std::string address_;
};

// A cgroup by its path from the root, "/machine.slice/...", gone when this is.
class ServiceCgroup {
public:
    explicit ServiceCgroup(const std::string &path);
    ServiceCgroup(const ServiceCgroup &) = delete;
    ServiceCgroup &operator=(const ServiceCgroup &) = delete;
    ~ServiceCgroup();
    const std::string &directory() const { return directory_; }

private:
    std::string directory_;
};
// As systemd-machined names a libvirt guest's.
std::string machine_scope(int number, const std::string &guest);

// What a user of VFIO has open for one function.
struct VfioFiles {
    Fd container;
    Fd group;
    Fd device;
};
// For processes that stand for QEMU; each ends the process with a line if VFIO refuses.
VfioFiles open_vfio(const std::string &group);
// Group into container, IOMMU, memory, device: hw/vfio/common.c, vfio_connect_container().
void use_vfio(VfioFiles &files, const std::string &address);

// When a process got a file whose /proc/PID/fd link is `name`: between two looks.
struct Sighting {
    uint64_t not_yet_ns = 0;
    uint64_t seen_ns = 0; // 0: never
};
Sighting first_seen_with(pid_t pid, const std::string &name);

} // namespace tally
