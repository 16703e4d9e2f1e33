#include "agent/guard/mig_watch.h"
#include "tests/unit/agent/device_tree.h"

#include <chrono>
#include <poll.h>

namespace tally {
namespace {

constexpr const char *kMig = "proc/driver/nvidia/capabilities/gpu0/mig/";

// Waits until a check is due, which must be within a second and a bit.
bool due(const MigWatch &watch, int milliseconds = 1200) {
    pollfd timer = {watch.fd(), POLLIN, 0};
    return poll(&timer, 1, milliseconds) == 1;
}

TEST(MigWatch, AReconfigurationIsSeenWithinASecond) {
    DeviceTree tree("h100-mig");
    auto watch = MigWatch::start(tree.roots());
    ASSERT_TRUE(watch);
    ASSERT_TRUE(watch->looked());
    ASSERT_TRUE(due(*watch));
    EXPECT_TRUE(watch->check()); // what changed before the first check, nobody knows
    EXPECT_FALSE(watch->check());
    ASSERT_TRUE(watch->looked());
    tree.remove(std::string(kMig) + "gi7");
    tree.directory(std::string(kMig) + "gi14/ci0"); // as many as before
    ASSERT_TRUE(due(*watch));
    EXPECT_TRUE(watch->check());
    EXPECT_FALSE(watch->check());
}

// A change between a check and the look that it asks for is seen by the next check.
TEST(MigWatch, NothingFallsBetweenCheckAndLook) {
    DeviceTree tree("h100-mig");
    auto watch = MigWatch::start(tree.roots());
    ASSERT_TRUE(watch);
    EXPECT_TRUE(watch->check());
    tree.directory(std::string(kMig) + "gi1/ci5");
    ASSERT_TRUE(watch->looked());
    EXPECT_TRUE(watch->check());
}

TEST(MigWatch, AMachineWithoutTheDriverIsNotWokenUp) {
    DeviceTree tree("mi300x-8");
    auto watch = MigWatch::start(tree.roots());
    ASSERT_TRUE(watch);
    ASSERT_TRUE(watch->looked());
    EXPECT_FALSE(due(*watch));
    tree.directory(kMig); // the driver is loaded, and a uevent says so
    ASSERT_TRUE(watch->looked());
    EXPECT_TRUE(due(*watch));
    tree.remove("proc/driver");
    ASSERT_TRUE(watch->looked());
    EXPECT_FALSE(due(*watch));
}

} // namespace
} // namespace tally
