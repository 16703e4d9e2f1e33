// Devices and drivers that come and go, which the agent must see at once: its window is an hour.
#include "tests/system/guard_rig.h"

#include <csignal>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace tally {
namespace {

class DeviceComing : public GuardTest {
protected:
    void SetUp() override {
        std::string config =
            lab_.agent_config("[[device]]\nname = \"late\"\nnode = \"" + node() + "\"\n");
        size_t at = config.find("window_seconds = 1");
        lab_.write("tallyd.toml", config.replace(at, 18, "window_seconds = 3600"));
        start();
    }
    std::string node() const { return lab_.path("late"); }
    void appear() const { ASSERT_EQ(mknod(node().c_str(), S_IFCHR | 0600, makedev(1, 7)), 0); }
    // As the kernel would say it if the node were of a driver's making.
    static void uevent(const char *action) {
        ASSERT_TRUE(write_to("/sys/class/mem/full/uevent", action));
    }
};

TEST_F(DeviceComing, IsSeenAtOnceAndSoIsItsGoing) {
    appear();
    uevent("add");
    EXPECT_TRUE(told("device added: node:late")) << lab_.agent().output();
    unlink(node().c_str());
    uevent("remove");
    EXPECT_TRUE(told("device removed: node:late")) << lab_.agent().output();
    std::string found = findings();
    expect(found, "device added: node:late");
    expect(found, "device removed: node:late");
}

TEST_F(DeviceComing, IsSeenThoughUeventsWereLost) {
    kill(lab_.agent().pid(), SIGSTOP);
    for (int i = 0; i < 3000; i++) // far more than its socket holds
        uevent("change");
    appear();
    uevent("add"); // lost
    kill(lab_.agent().pid(), SIGCONT);
    EXPECT_TRUE(told("device added: node:late")) << lab_.agent().output();
    findings();
}

TEST_F(DeviceComing, OtherProcessesAreNotTheKernel) {
    appear();
    Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT));
    sockaddr_nl everyone = {};
    everyone.nl_family = AF_NETLINK;
    everyone.nl_groups = 1;
    using std::string_view_literals::operator""sv;
    std::string_view forged = "add@/x\0ACTION=add\0DEVPATH=/x\0SUBSYSTEM=pci\0"sv;
    ASSERT_EQ(sendto(socket.get(), forged.data(), forged.size(), 0,
                     reinterpret_cast<sockaddr *>(&everyone), sizeof(everyone)),
              static_cast<ssize_t>(forged.size()));
    EXPECT_FALSE(lab_.agent().says("device added", 800)) << lab_.agent().output();
    uevent("add");
    EXPECT_TRUE(told("device added: node:late")) << lab_.agent().output();
    findings();
}

class DriverComing : public DeviceComing {
protected:
    void SetUp() override {
        address_ = spare_function();
        if (address_.empty())
            GTEST_SKIP() << "this machine has no PCI function to spare";
        ASSERT_EQ(run({"modprobe", "pci-stub"}).status, 0);
        ASSERT_TRUE(write_to(function() + "/driver_override", "pci-stub"));
        DeviceComing::SetUp();
    }
    std::string function() const { return "/sys/bus/pci/devices/" + address_; }
    void probe() const { ASSERT_TRUE(write_to("/sys/bus/pci/drivers_probe", address_)); }
    void unbind() const { ASSERT_TRUE(write_to(function() + "/driver/unbind", address_)); }

    std::string address_;
};

TEST_F(DriverComing, IsToldByNameAndSoIsItsGoing) {
    probe();
    EXPECT_TRUE(told("driver bound: " + address_ + " to pci-stub")) << lab_.agent().output();
    unbind();
    EXPECT_TRUE(told("driver unbound: " + address_ + " from pci-stub")) << lab_.agent().output();
    for (int i = 0; i < 5; i++) { // faster than anybody could look
        probe();
        unbind();
    }
    sleep_ms(500);
    std::string found = findings();
    expect(found, "driver bound: " + address_ + " to pci-stub (6 times)");
    expect(found, "driver unbound: " + address_ + " from pci-stub (6 times)");
}

TEST_F(DriverComing, AFunctionThatIsPulledOutIsTold) {
    ASSERT_TRUE(write_to(function() + "/remove", "1"));
    EXPECT_TRUE(told("device removed: pci:" + address_)) << lab_.agent().output();
    ASSERT_TRUE(write_to("/sys/bus/pci/rescan", "1"));
    EXPECT_TRUE(
        told("device added: pci:" + address_ + " (1234:1111), " + address_ + " without driver"))
        << lab_.agent().output();
    findings();
}

} // namespace
} // namespace tally
