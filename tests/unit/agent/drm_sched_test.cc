// The source drm_sched where no GPU is: what it says of itself. That it counts,
// tests/vm/ring_test.cc shows, under kernels that have the scheduler.
#include "agent/clock.h"
#include "agent/work/sources.h"
#include "tests/unit/agent/scratch.h"

namespace tally {
namespace {

TEST(DrmSched, AKernelWithoutTheSchedulerIsSaidWhileADrmDeviceIsHeld) {
    Scratch scratch;
    std::map<uint32_t, Device> devices{
        {3, {.id = "drm:vgem", .nodes = {{"/dev/dri/renderD128", 226, 128}}}},
        {4, {.id = "pci:0000:04:00.0", .nodes = {{"/dev/nvidia0", 195, 0}}}}};
    std::vector<wire_holding> none,
        other{{.workload = 7, .process = 1, .fd = 5, .device = 4, .zero = 0}},
        held{{.workload = 7, .process = 1, .fd = 5, .device = 3, .zero = 0}};
    auto source = drm_sched_source(scratch.path());
    source->look({other, devices, kSecond});
    EXPECT_EQ(source->absence(), "") << "there is nothing to see";
    source->look({held, devices, kSecond});
    EXPECT_EQ(source->absence(), "no driver here uses the kernel's GPU scheduler");
    EXPECT_TRUE(source->take(kSecond).empty());
    source->look({none, devices, kSecond});
    EXPECT_EQ(source->absence(), "");
}

} // namespace
} // namespace tally
