// Accelerators that come after the agent.
#include "tests/vm/fleet.h"
#include "tests/vm/passthrough.h"

#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

namespace tally {
namespace {

using Hotplug = Recording;

// vgem: a real DRM device without hardware (drivers/gpu/drm/vgem).
TEST_P(Hotplug, ARenderNodeThatComesLaterIsRecorded) {
    constexpr const char *kNode = "/dev/dri/renderD128";
    ASSERT_FALSE(std::filesystem::exists(kNode));
    Outcome loaded = run({"modprobe", "vgem"});
    ASSERT_EQ(loaded.status, 0) << loaded.output;
    ASSERT_TRUE(until([&] { return std::filesystem::exists(kNode); }));
    let_the_agent_look_for_devices();
    ServiceCgroup scope(machine_scope(8, "rendering"));
    TenantProcess tenant(scope.directory(), [&](Deed &deed) {
        int fd = open(kNode, O_RDWR);
        if (fd < 0)
            _exit(1);
        deed.begin_ns = boottime_ns();
        sleep_ms(2000);
        deed.end_ns = boottime_ns();
        close(fd);
    });
    tenant.join();
    ASSERT_NE(tenant.deed().end_ns, 0U);
    read_report();
    expect_held("rendering", "drm:vgem", tenant.deed());
    expect_opens("rendering", 1);
    EXPECT_EQ(run({"modprobe", "-r", "vgem"}).status, 0);
}

INSTANTIATE_TEST_SUITE_P(Rungs, Hotplug, testing::ValuesIn(rungs()),
                         [](const auto &info) { return info.param; });

} // namespace
} // namespace tally
