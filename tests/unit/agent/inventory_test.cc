// The inventory of whole machines, every field of it; what changes in it; and trees that no kernel
// would make.
#include "agent/inventory/nvidia.h"
#include "agent/statement/statement.h"
#include "attest/dsse.h"
#include "bpf/wire.h"
#include "tests/unit/agent/device_tree.h"

#include <fstream>
#include <sstream>

namespace tally {
namespace {

class Machine : public testing::TestWithParam<const char *> {};

// NAME.tree against NAME.devices: a line for each device with all that is said of it.
TEST_P(Machine, HasTheseDevices) {
    std::string path = std::string("tests/vectors/devices/") + GetParam() + ".devices";
    std::stringstream expected;
    expected << std::ifstream(path).rdbuf();
    std::string found;
    for (const Device &device : DeviceTree(GetParam()).devices())
        found += described(device) + "\n";
    EXPECT_EQ(found, expected.str());
    EXPECT_FALSE(found.empty());
}

INSTANTIATE_TEST_SUITE_P(Inventories, Machine,
                         testing::Values("h100-sxm-8", "h100-mig", "mi300x-8", "mi300x-cpx",
                                         "l4-vfio", "virtual", "gaudi", "neuron", "mixed"),
                         [](const auto &info) {
                             std::string name = info.param;
                             std::erase(name, '-');
                             return name;
                         });

// As it goes into statements and into the baseline, and comes back from there.
TEST_P(Machine, IsTheSameAfterABaseline) {
    for (const Device &device : DeviceTree(GetParam()).devices())
        EXPECT_EQ(described(from_message(to_message(7, device))), described(device));
}

const Device *find(const std::vector<Device> &devices, const std::string &id) {
    for (const Device &device : devices) {
        if (device.id == id)
            return &device;
    }
    return nullptr;
}

constexpr const char *kGpu0 = "proc/driver/nvidia/capabilities/gpu0/mig/";

TEST(InventoryChange, MigIsReconfigured) {
    DeviceTree tree("h100-mig");
    Inventory inventory;
    inventory.update(tree.devices());
    uint32_t gi7 = inventory.numbers().at(WIRE_DEVICE_NUMBER(510, 67));
    std::string layout = mig_layout(tree.roots());
    EXPECT_FALSE(inventory.update(tree.devices()));

    tree.remove(std::string(kGpu0) + "gi7");
    EXPECT_NE(mig_layout(tree.roots()), layout);
    EXPECT_TRUE(inventory.update(tree.devices()));
    EXPECT_TRUE(inventory.all().at(gi7).absent);
    EXPECT_FALSE(inventory.numbers().contains(WIRE_DEVICE_NUMBER(510, 67)));
    const Device *gpu = find(tree.devices(), "pci:0000:1b:00.0");
    EXPECT_EQ(gpu->instances, 6U);

    tree.file(std::string(kGpu0) + "gi7/ci0/access", "DeviceFileMinor: 67\n");
    EXPECT_EQ(mig_layout(tree.roots()), layout);
    EXPECT_TRUE(inventory.update(tree.devices()));
    EXPECT_FALSE(inventory.all().at(gi7).absent);
    EXPECT_EQ(inventory.numbers().at(WIRE_DEVICE_NUMBER(510, 67)), gi7);

    tree.remove(std::string(kGpu0) + "gi7/ci0"); // a GPU instance without a compute instance
    EXPECT_NE(mig_layout(tree.roots()), layout);
    EXPECT_EQ(find(tree.devices(), "pci:0000:1b:00.0")->instances, 6U);
}

TEST(InventoryChange, TwoComputeInstancesOfOneGpuInstanceAreTwoDevices) {
    DeviceTree tree("h100-mig");
    Inventory inventory;
    inventory.update(tree.devices());
    auto numbers = inventory.numbers();
    EXPECT_NE(numbers.at(WIRE_DEVICE_NUMBER(510, 148)), numbers.at(WIRE_DEVICE_NUMBER(510, 149)));
    // The GPU instance's own node serves both: it is neither's.
    EXPECT_FALSE(numbers.contains(WIRE_DEVICE_NUMBER(510, 147)));
}

TEST(InventoryChange, ADeviceIsRebound) {
    DeviceTree tree("mixed");
    Inventory inventory;
    inventory.update(tree.devices());
    std::string driver = "sys/bus/pci/devices/0000:41:00.0/driver";
    tree.remove(driver);
    EXPECT_TRUE(inventory.update(tree.devices()));
    EXPECT_EQ(find(tree.devices(), "pci:0000:41:00.0")->driver, "");
    tree.link(driver, "../../drivers/nvidia");
    EXPECT_TRUE(inventory.update(tree.devices()));
    EXPECT_EQ(find(tree.devices(), "pci:0000:41:00.0")->driver_version, "570.195.03");
}

TEST(InventoryChange, MediatedDevicesOfLongAgoAreForgottenButForThoseInUse) {
    Inventory inventory;
    std::vector<Device> now(1);
    for (int i = 0; i < 1000; i++) {
        now[0].id = "mdev:" + std::to_string(i);
        EXPECT_TRUE(inventory.update(now));
        inventory.forget({3, 999});
    }
    EXPECT_LE(inventory.all().size(), 256U);
    EXPECT_TRUE(inventory.all().contains(3));
    EXPECT_FALSE(inventory.all().contains(4));
    EXPECT_EQ(inventory.present(), std::vector<uint32_t>{999}); // no index was given twice
}

// An attestation has at most 65,535 bytes, and the inventory cannot be split.
size_t attested_size(const std::vector<Device> &devices) {
    pb::Statement statement;
    statement.set_certificate(std::string(1024, 'c'));
    for (size_t i = 0; i < devices.size(); i++)
        *statement.mutable_inventory()->add_devices() =
            to_message(static_cast<uint32_t>(i), devices[i]);
    return statement.ByteSizeLong();
}

TEST(InventorySize, EightH100WithSevenInstancesEachFitAnAttestation) {
    DeviceTree tree("h100-sxm-8");
    for (int gpu = 0; gpu < 8; gpu++) {
        for (int gi = 7; gi < 14; gi++)
            tree.file("proc/driver/nvidia/capabilities/gpu" + std::to_string(gpu) + "/mig/gi" +
                          std::to_string(gi) + "/ci0/access",
                      "DeviceFileMinor: " + std::to_string(4 + gpu * 135 + gi * 9) + "\n");
    }
    auto devices = tree.devices();
    EXPECT_EQ(devices.size(), 64U);
    size_t size = attested_size(devices);
    RecordProperty("bytes", static_cast<int>(size));
    EXPECT_LT(size, kMaxAttestation / 4);
}

// Eight GPUs with 32 virtual functions each, all of them handed to guests.
TEST(InventorySize, EightH100WithAllTheirVirtualFunctionsFitAnAttestation) {
    DeviceTree tree("virtual");
    auto devices = tree.devices();
    const Device *function = find(devices, "pci:0000:e1:00.4");
    ASSERT_NE(function, nullptr);
    std::vector<Device> many(256, *function);
    size_t size = attested_size(many);
    RecordProperty("bytes", static_cast<int>(size));
    EXPECT_LT(size, kMaxAttestation);
}

std::string base(const std::string &address) {
    return "sys/bus/pci/devices/" + address + "/";
}

TEST(HostileTree, LoopsOfLinksEnd) {
    DeviceTree tree;
    tree.file(base("0000:01:00.0") + "class", "0x030200\n");
    for (const char *name : {"driver", "physfn", "iommu_group", "drm", "vfio-dev", "nvidia"})
        tree.link(base("0000:01:00.0") + name, "../0000:01:00.0/" + std::string(name));
    tree.link("sys/bus/pci/devices/0000:02:00.0", "0000:02:00.0");
    tree.link("sys/class/drm", "../class/drm");
    tree.link("sys/class/kfd/kfd/topology/nodes", "../topology");
    tree.link("sys/bus/mdev/devices/loop", "loop");
    tree.link("proc/driver/nvidia/capabilities/gpu0", "../capabilities");
    auto devices = tree.devices();
    ASSERT_EQ(devices.size(), 1U);
    EXPECT_EQ(devices[0].driver, "driver"); // what the link says, though it leads nowhere
    EXPECT_TRUE(devices[0].nodes.empty());
    EXPECT_EQ(mig_layout(tree.roots()), "gpu0 ");
}

// A part of itself, or of what is a part of it.
TEST(HostileTree, PartsOfEachOtherEnd) {
    DeviceTree tree;
    for (const char *address : {"0000:01:00.0", "0000:02:00.0", "0000:03:00.0"})
        tree.file(base(address) + "class", "0x030200\n");
    tree.link(base("0000:01:00.0") + "physfn", "../0000:02:00.0");
    tree.link(base("0000:02:00.0") + "physfn", "../0000:01:00.0");
    tree.link(base("0000:03:00.0") + "physfn", "../0000:03:00.0");
    auto devices = tree.devices();
    ASSERT_EQ(devices.size(), 3U);
    EXPECT_EQ(devices[0].parent, devices[1].id);
    EXPECT_EQ(devices[1].parent, devices[0].id);
}

TEST(HostileTree, HugeAttributesAreNotRead) {
    DeviceTree tree("mixed");
    std::string huge(3 << 20, '7');
    for (const char *name : {"subsystem_vendor", "numa_node", "product_name", "serial_number"})
        tree.file(base("0000:05:00.0") + name, huge);
    tree.file("proc/driver/nvidia/gpus/0000:1b:00.0/information", "Model: " + huge);
    tree.file("proc/devices", huge);
    auto devices = tree.devices();
    const Device *amd = find(devices, "pci:0000:05:00.0");
    ASSERT_NE(amd, nullptr);
    EXPECT_EQ(amd->model + amd->serial + amd->subsystem_id, "");
    EXPECT_FALSE(amd->numa_node);
    EXPECT_EQ(find(devices, "pci:0000:1b:00.0")->model, "");
    EXPECT_LT(attested_size(devices), kMaxAttestation);
}

TEST(HostileTree, DriversWordsAreMadePrintable) {
    DeviceTree tree("mixed");
    std::string junk("\x00\xff\x1b[2J\xc3\x28 evil", 13);
    tree.file(base("0000:05:00.0") + "product_name", junk + "\n");
    tree.file("proc/driver/nvidia/gpus/0000:1b:00.0/information",
              "Model: \t " + junk + "\nGPU UUID: \t" + junk + "\nDevice Minor: \t -1\n\xff:\n:\n");
    tree.file("sys/module/nvidia/version", std::string(4000, 'v'));
    tree.file("sys/class/drm/" + std::string("\xfe\xff") + "/dev", "226:9\n");
    auto devices = tree.devices();
    EXPECT_EQ(find(devices, "pci:0000:05:00.0")->model, "\\x00\\xff\\x1b[2J\\xc3( evil");
    const Device *gpu = find(devices, "pci:0000:1b:00.0");
    EXPECT_EQ(gpu->model, "\\x00\\xff\\x1b[2J\\xc3( evil");
    EXPECT_TRUE(gpu->nodes.empty()); // and so no instance of it is found
    EXPECT_LE(gpu->driver_version.size(), 140U);
    pb::Statement statement;
    for (const Device &device : devices)
        *statement.mutable_inventory()->add_devices() = to_message(0, device);
    EXPECT_TRUE(pb::Statement().ParseFromString(statement.SerializeAsString())); // all is UTF-8
}

TEST(HostileTree, NumbersThatAreNoneAreNoNodes) {
    DeviceTree tree("h100-mig");
    std::string access = std::string(kGpu0) + "gi8/ci0/access";
    for (const char *number :
         {"DeviceFileMinor: -1\n", "DeviceFileMinor: 4294967296\n",
          "DeviceFileMinor: 18446744073709551616\n", "DeviceFileMinor\n", ""}) {
        tree.file(access, number);
        auto devices = tree.devices();
        EXPECT_TRUE(find(devices, "mig:0000:1b:00.0/gi8/ci0")->nodes.empty()) << number;
    }
    for (const char *number : {"4096:0", "226:1048576", "226", ":", "226:-1", "226:1 ", "+226:1"}) {
        tree.file(base("0000:1b:00.0") + "drm/card0/dev", std::string(number) + "\n");
        auto devices = tree.devices();
        EXPECT_EQ(find(devices, "pci:0000:1b:00.0")->nodes.size(), 1U) << number;
    }
    tree.file("proc/devices", "Character devices:\nnvidia-caps\nx nvidia-caps\n\nBlock devices:\n"
                              "510 nvidia-caps\n");
    EXPECT_TRUE(find(tree.devices(), "mig:0000:1b:00.0/gi9/ci0")->nodes.empty());
}

TEST(HostileTree, NamesThatAreNoAddressesAreNoFunctions) {
    DeviceTree tree;
    for (const char *name : {"0000:01:00", "0000:01:00.x", "..evil", "0000-01-00.0",
                             "0000:01:00.0\n", "000:01:00.0", "123456789:01:00.0", "0000:0g:00.0"})
        tree.file(base(name) + "class", "0x030200\n");
    EXPECT_TRUE(tree.devices().empty());
    tree.file(base("10000:e1:00.0") + "class", "0x030200\n"); // a domain of Intel VMD
    EXPECT_EQ(tree.devices().size(), 1U);
}

// Directories where files belong, and files where directories do.
TEST(HostileTree, OtherKindsOfFilesReadAsNothing) {
    DeviceTree tree("mixed");
    tree.remove(base("0000:05:00.0") + "vendor");
    tree.directory(base("0000:05:00.0") + "vendor");
    tree.remove(base("0000:05:00.0") + "drm");
    tree.file(base("0000:05:00.0") + "drm", "226:0\n");
    tree.remove("proc/driver/nvidia/capabilities");
    tree.file("proc/driver/nvidia/capabilities", "gpu0\n");
    auto devices = tree.devices();
    EXPECT_EQ(find(devices, "pci:0000:05:00.0")->pci_id, "");
    EXPECT_EQ(find(devices, "pci:0000:1b:00.0")->instances, 0U);
}

} // namespace
} // namespace tally
