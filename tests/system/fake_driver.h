// Character devices that are drivers in a process of their own, by CUSE (fs/fuse/cuse.c): for
// drivers whose hardware no test has. Their ioctls are real system calls on real device files.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <sys/types.h>

namespace tally {

// Whether this kernel has CUSE; loads it if it can.
bool has_cuse();

struct Ioctl {
    pid_t process;            // who asks
    uint32_t command;         // as given, with direction and size
    std::span<uint8_t> bytes; // the structure: what the driver writes here goes back
};

class FakeDriver {
public:
    // /dev/NAME with this number, 0:0 for any; waits until it is there. `answer` runs in the
    // driver's process and returns what the ioctl returns.
    FakeDriver(const std::string &name, uint32_t major, uint32_t minor,
               const std::function<int(const Ioctl &)> &answer);
    FakeDriver(const FakeDriver &) = delete;
    FakeDriver &operator=(const FakeDriver &) = delete;
    ~FakeDriver();

    const std::string &node() const { return node_; }

private:
    std::string node_;
    pid_t pid_ = -1;
};

// NVIDIA's resource manager as far as a test asks it: RM_ALLOC has the status that is in the low
// half of pAllocParms, RM_FREE the one in hObjectParent. Any other size is taken and left as it is.
// A transfer from this address stands for a structure that its process unmaps while the driver
// answers: it succeeds, and cannot be read afterwards.
inline constexpr uint64_t kUnmappedMeanwhile = 0x10;
int answer_as_nvidia(const Ioctl &ioctl);
// AMD's KFD: CREATE_QUEUE gives the next number, or fails with the errno in queue_percentage.
int answer_as_kfd(const Ioctl &ioctl);

} // namespace tally
