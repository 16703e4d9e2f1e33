// A host on which nothing is held says little, and is there at once when something is.
#include "tests/system/attested.h"
#include "tests/system/lab.h"

#include <fcntl.h>
#include <gtest/gtest.h>

namespace tally {
namespace {

constexpr uint64_t kTolerance = 1'300'000'000; // ns: a scan, and a little

TEST(Idle, WindowsGrowWhileNothingIsHeldAndEndWhenSomethingIs) {
    Lab lab;
    std::string directory = lab.cgroup("late");
    std::string config =
        lab.agent_config("[[device]]\nname = \"stand-in\"\nnode = \"/dev/full\"\n");
    const std::string key = "idle_window_seconds = ";
    size_t at = config.find(key + "1");
    ASSERT_NE(at, std::string::npos);
    lab.write("tallyd.toml", config.replace(at, key.size() + 1, key + "4"));
    lab.start_collector();
    lab.start_agent();
    sleep_ms(8000);
    TenantProcess tenant(directory, [](Deed &deed) {
        open("/dev/full", O_RDONLY | O_CLOEXEC);
        deed.begin_ns = boottime_ns();
        sleep_ms(2200);
        deed.end_ns = boottime_ns();
    });
    tenant.join();
    sleep_ms(1500);
    lab.stop_all();

    auto attested = read_attested(lab);
    ASSERT_TRUE(attested) << attested.error().message;
    uint64_t longest = 0;
    for (const AttestedWindow &window : attested->windows) {
        uint64_t length = window.end_ns - window.begin_ns;
        EXPECT_LE(length, 4 * 1'000'000'000ULL + kTolerance);
        // What was held is told by the second.
        if (window.begin_ns >= tenant.deed().begin_ns + kTolerance &&
            window.begin_ns < tenant.deed().end_ns) {
            EXPECT_LE(length, kTolerance);
        }
        bool idle = window.end_ns < tenant.deed().begin_ns;
        longest = std::max(longest, idle ? length : 0);
        if (idle) {
            EXPECT_TRUE(window.usage.empty());
        }
    }
    EXPECT_GE(longest, 3'000'000'000U);
    Outcome verified = lab.tally({"verify", lab.log()});
    EXPECT_EQ(verified.status, 1) << verified.output; // the tenant is not in tenants.d
    EXPECT_NE(verified.output.find("coverage 100.00 %"), std::string::npos) << verified.output;
    uint64_t held = 0;
    for (const AttestedWindow &window : attested->windows) {
        for (const auto &[row, usage] : window.usage)
            held += usage.held_ns();
    }
    EXPECT_NEAR(static_cast<double>(held),
                static_cast<double>(tenant.deed().end_ns - tenant.deed().begin_ns), kTolerance);
}

} // namespace
} // namespace tally
