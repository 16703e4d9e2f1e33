// The inventory, read from trees laid out as sysfs and procfs are.
#include "agent/record/devices.h"
#include "bpf/wire.h"
#include "tests/unit/agent/device_tree.h"

#include <gtest/gtest.h>

namespace tally {
namespace {

class Devices : public testing::Test {
protected:
    void file(const std::string &path, const std::string &contents) { tree_.file(path, contents); }
    void link(const std::string &path, const std::string &target) { tree_.link(path, target); }
    void pci(const std::string &address, const std::string &code, const std::string &vendor,
             const std::string &device) {
        std::string base = "sys/bus/pci/devices/" + address + "/";
        file(base + "class", code + "\n");
        file(base + "vendor", vendor + "\n");
        file(base + "device", device + "\n");
    }
    Discovery discover(const std::vector<ConfiguredDevice> &configured = {}) {
        return discover_devices(tree_.roots(), configured);
    }

    DeviceTree tree_;
};

TEST_F(Devices, AcceleratorsAreKnownByClassOrNode) {
    pci("0000:01:00.0", "0x030000", "0x10de", "0x2330");
    pci("0000:02:00.0", "0x030200", "0x10de", "0x2331");
    pci("0000:03:00.0", "0x120000", "0x1da3", "0x1020");
    pci("0000:04:00.0", "0x020000", "0x8086", "0x1572"); // a network card
    pci("0000:05:00.0", "0x038000", "0x1002", "0x740f"); // MI210: display, other
    pci("0000:06:00.0", "0x040000", "0x1234", "0x0001"); // known by its node alone
    file("sys/bus/pci/devices/0000:06:00.0/accel/accel3/dev", "261:3\n");
    auto devices = discover().devices;
    ASSERT_EQ(devices.size(), 5U);
    EXPECT_EQ(devices[3].id, "pci:0000:05:00.0");
    EXPECT_EQ(devices[4].nodes[0], (DeviceNode{"/dev/accel/accel3", 261, 3}));
    EXPECT_EQ(devices[0].id, "pci:0000:01:00.0");
    EXPECT_EQ(devices[1].pci_id, "10de:2331");
    EXPECT_EQ(devices[2].id, "pci:0000:03:00.0");
    EXPECT_TRUE(devices[2].nodes.empty()); // exists, and nobody can hold it
}

TEST_F(Devices, NvidiaNodesComeFromTheDriversOwnFile) {
    pci("0000:3b:00.0", "0x030200", "0x10de", "0x2330");
    file("proc/driver/nvidia/gpus/0000:3b:00.0/information",
         "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 45\nGPU UUID: \t "
         "GPU-3c1e1ab2-0d1f-5a0a-a1b1-3d6c2f1e0a77\nVideo BIOS: \t 96.00.30.00.01\n"
         "Bus Location: \t 0000:3b:00.0\nDevice Minor: \t 3\nGPU Firmware: \t 535.104.12\n");
    auto devices = discover().devices;
    ASSERT_EQ(devices.size(), 1U);
    EXPECT_EQ(devices[0].model, "NVIDIA H100 80GB HBM3");
    EXPECT_EQ(devices[0].uuid, "GPU-3c1e1ab2-0d1f-5a0a-a1b1-3d6c2f1e0a77");
    ASSERT_EQ(devices[0].nodes.size(), 1U);
    EXPECT_EQ(devices[0].nodes[0], (DeviceNode{"/dev/nvidia3", 195, 3}));
}

TEST_F(Devices, DrmAndAccelNodesBelongToTheirFunction) {
    pci("0000:c1:00.0", "0x120000", "0x1002", "0x74a1");
    file("sys/bus/pci/devices/0000:c1:00.0/drm/card1/dev", "226:1\n");
    file("sys/bus/pci/devices/0000:c1:00.0/drm/renderD129/dev", "226:129\n");
    file("sys/bus/pci/devices/0000:c1:00.0/accel/accel0/dev", "261:0\n");
    auto devices = discover().devices;
    ASSERT_EQ(devices.size(), 1U);
    ASSERT_EQ(devices[0].nodes.size(), 3U);
    EXPECT_EQ(devices[0].nodes[1], (DeviceNode{"/dev/dri/renderD129", 226, 129}));
    EXPECT_EQ(devices[0].nodes[2], (DeviceNode{"/dev/accel/accel0", 261, 0}));
}

TEST_F(Devices, FunctionsBehindOneVfioGroupAreOneDevice) {
    for (const char *address : {"0000:41:00.0", "0000:42:00.0"}) {
        pci(address, "0x030200", "0x10de", "0x2330");
        link("sys/bus/pci/devices/" + std::string(address) + "/iommu_group",
             "../../../kernel/iommu_groups/17");
    }
    file("sys/class/vfio/17/dev", "511:0\n");
    file("sys/bus/pci/devices/0000:41:00.0/vfio-dev/vfio0/dev", "510:0\n");
    auto devices = discover().devices;
    ASSERT_EQ(devices.size(), 1U);
    EXPECT_EQ(devices[0].id, "pci:0000:41:00.0+0000:42:00.0");
    EXPECT_EQ(devices[0].pci_addresses.size(), 2U);
    ASSERT_EQ(devices[0].nodes.size(), 2U);
    EXPECT_EQ(devices[0].nodes[0], (DeviceNode{"/dev/vfio/17", 511, 0}));
    EXPECT_EQ(devices[0].nodes[1], (DeviceNode{"/dev/vfio/devices/vfio0", 510, 0}));
}

TEST_F(Devices, DrmDevicesOffThePciBusCountToo) {
    file("sys/devices/platform/vgem/drm/renderD128/dev", "226:128\n");
    link("sys/devices/platform/vgem/subsystem", "../../../bus/platform");
    link("sys/devices/platform/vgem/drm/renderD128/device", "../..");
    link("sys/class/drm/renderD128", "../../devices/platform/vgem/drm/renderD128");
    auto devices = discover().devices;
    ASSERT_EQ(devices.size(), 1U);
    EXPECT_EQ(devices[0].id, "drm:vgem");
    EXPECT_EQ(devices[0].nodes[0], (DeviceNode{"/dev/dri/renderD128", 226, 128}));
}

TEST_F(Devices, BrokenAttributesAreNoDeviceNodes) {
    pci("0000:01:00.0", "0x030200", "0x10de", "0x2330");
    file("sys/bus/pci/devices/0000:01:00.0/drm/card0/dev", "not a number\n");
    file("sys/bus/pci/devices/0000:01:00.0/drm/card1/dev", "");
    auto devices = discover().devices;
    ASSERT_EQ(devices.size(), 1U);
    EXPECT_TRUE(devices[0].nodes.empty());
}

TEST_F(Devices, AConfiguredNodeMustBeACharacterDevice) {
    file("plain", "x");
    auto found = discover(
        {{"gone", "/dev/no-such-node"}, {"file", tree_.path() + "/plain"}, {"null", "/dev/null"}});
    ASSERT_EQ(found.devices.size(), 1U);
    EXPECT_EQ(found.devices[0].id, "node:null");
    EXPECT_TRUE(found.devices[0].configured);
    ASSERT_EQ(found.problems.size(), 2U);
    EXPECT_NE(found.problems[0].find("/dev/no-such-node"), std::string::npos);
    EXPECT_NE(found.problems[1].find("not a character device"), std::string::npos);
}

TEST(Inventory, AnIndexIsNeverGivenToAnotherDevice) {
    Device a{.id = "pci:a", .nodes = {{"/dev/a", 10, 1}}};
    Device b{.id = "pci:b", .nodes = {{"/dev/b", 10, 2}}};
    Device c{.id = "pci:c", .nodes = {{"/dev/c", 10, 3}}};
    Inventory inventory;
    EXPECT_TRUE(inventory.update({a, b}));
    EXPECT_FALSE(inventory.update({a, b}));
    EXPECT_TRUE(inventory.update({b, c})); // a left, c came
    EXPECT_EQ(inventory.all().at(1).id, "pci:b");
    EXPECT_EQ(inventory.all().at(2).id, "pci:c");
    EXPECT_FALSE(inventory.numbers().contains(WIRE_DEVICE_NUMBER(10, 1)));
    EXPECT_TRUE(inventory.update({a, b, c})); // and back under its old index
    EXPECT_EQ(inventory.numbers().at(WIRE_DEVICE_NUMBER(10, 1)), 0U);
    EXPECT_EQ(inventory.numbers().at(WIRE_DEVICE_NUMBER(10, 3)), 2U);
}

} // namespace
} // namespace tally
