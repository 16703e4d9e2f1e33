// Uevents: messages as kernels sent them, and anything else that a socket might bring.
#include "agent/guard/uevents.h"

#include <gtest/gtest.h>
#include <random>

namespace tally {
namespace {

using std::string_view_literals::operator""sv;

// Captured on Linux 6.18: `echo add` into the uevent file of /dev/full.
constexpr std::string_view kNode =
    "add@/devices/virtual/mem/full\0ACTION=add\0DEVPATH=/devices/virtual/mem/full\0"
    "SUBSYSTEM=mem\0SYNTH_UUID=0\0MAJOR=1\0MINOR=7\0DEVNAME=full\0DEVMODE=0666\0SEQNUM=820\0"sv;
// On Linux 6.12, as a display function got its driver and lost it.
constexpr std::string_view kPci =
    "bind@/devices/pci0000:00/0000:00:10.0\0ACTION=bind\0"
    "DEVPATH=/devices/pci0000:00/0000:00:10.0\0SUBSYSTEM=pci\0DRIVER=bochs-drm\0PCI_CLASS=38000\0"
    "PCI_ID=1234:1111\0PCI_SUBSYS_ID=1AF4:1100\0PCI_SLOT_NAME=0000:00:10.0\0"
    "MODALIAS=pci:v00001234d00001111sv00001AF4sd00001100bc03sc80i00\0SEQNUM=766\0"sv;
constexpr std::string_view kUnbind =
    "unbind@/devices/pci0000:00/0000:00:10.0\0ACTION=unbind\0"
    "DEVPATH=/devices/pci0000:00/0000:00:10.0\0SUBSYSTEM=pci\0PCI_CLASS=38000\0"
    "PCI_ID=1234:1111\0PCI_SUBSYS_ID=1AF4:1100\0PCI_SLOT_NAME=0000:00:10.0\0SEQNUM=777\0"sv;

std::string message(const std::vector<std::string> &parts) {
    std::string whole;
    for (const std::string &part : parts)
        whole += part + '\0';
    return whole;
}

TEST(Uevent, CapturedMessagesAreUnderstood) {
    auto node = parse_uevent(kNode);
    ASSERT_TRUE(node);
    EXPECT_EQ(*node, (Uevent{.action = "add",
                             .devpath = "/devices/virtual/mem/full",
                             .subsystem = "mem",
                             .node = "full",
                             .synthetic = true}));
    EXPECT_TRUE(concerns_devices(*node));
    Uevent bind{.action = "bind",
                .devpath = "/devices/pci0000:00/0000:00:10.0",
                .subsystem = "pci",
                .driver = "bochs-drm",
                .pci_address = "0000:00:10.0"};
    Uevent unbind = bind;
    unbind.action = "unbind";
    unbind.driver = "";
    EXPECT_EQ(parse_uevent(kPci), bind);
    EXPECT_EQ(parse_uevent(kUnbind), unbind);
    EXPECT_TRUE(concerns_devices(bind));
}

TEST(Uevent, OnlyWhatMayChangeTheInventoryConcernsIt) {
    auto of = [](const std::string &subsystem, const std::string &node) {
        auto event =
            parse_uevent(message({"add@/x", "ACTION=add", "DEVPATH=/x", "SUBSYSTEM=" + subsystem,
                                  node.empty() ? "SEQNUM=1" : "DEVNAME=" + node}));
        return event && concerns_devices(*event);
    };
    EXPECT_TRUE(of("drm", "dri/card0"));
    EXPECT_TRUE(of("vfio", "vfio/12"));
    EXPECT_TRUE(of("module", ""));
    EXPECT_TRUE(of("mdev", ""));
    EXPECT_FALSE(of("block", "loop0"));
    EXPECT_FALSE(of("net", ""));
    EXPECT_FALSE(of("queues", ""));
}

TEST(Uevent, AnythingElseIsRefused) {
    using Parts = std::vector<std::string>;
    for (const Parts &parts :
         {Parts{}, Parts{""}, Parts{"add"}, Parts{"@/x", "ACTION=", "DEVPATH=/x", "SUBSYSTEM=y"},
          Parts{"add@", "ACTION=add", "DEVPATH=", "SUBSYSTEM=y"},
          Parts{"add@/x", "ACTION=remove", "DEVPATH=/x", "SUBSYSTEM=y"},
          Parts{"add@/x", "ACTION=add", "DEVPATH=/z", "SUBSYSTEM=y"},
          Parts{"add@/x", "ACTION=add", "DEVPATH=/x"},
          Parts{"add@/x", "ACTION=add", "DEVPATH=/x", "SUBSYSTEM="},
          Parts{"add@/x", "ACTION=add", "DEVPATH=/x", "SUBSYSTEM=y", "novalue"},
          Parts{"add@/x", "ACTION=add", "DEVPATH=/x", "SUBSYSTEM=y", "=z"},
          Parts{"add@/x", "ACTION=add", "DEVPATH=/x", "SUBSYSTEM=y", ""},
          Parts{"add@/x", "ACTION=add", "DEVPATH=/x", "SUBSYSTEM=y", "SUBSYSTEM=pci"},
          Parts{std::string("libudev\0\xfe\xed\xca\xfe", 12), "ACTION=add"}})
        EXPECT_FALSE(parse_uevent(message(parts))) << (parts.empty() ? "nothing" : parts.back());
    EXPECT_FALSE(parse_uevent(kPci.substr(0, kPci.size() - 1))); // no end
}

// Each prefix, each single byte changed, and noise: no crash, and nothing made up.
TEST(Uevent, DamagedMessagesAreRefusedOrReadAsTheyStand) {
    for (size_t length = 0; length < kPci.size(); length++)
        parse_uevent(kPci.substr(0, length));
    for (size_t at = 0; at < kPci.size(); at++) {
        for (char byte : {'\0', '=', '@', '/', '\xff'}) {
            std::string changed(kPci);
            changed[at] = byte;
            auto event = parse_uevent(changed);
            EXPECT_TRUE(!event || changed.starts_with(event->action + "@" + event->devpath + '\0'));
        }
    }
    std::mt19937 random(1);
    for (int round = 0; round < 20000; round++) {
        std::string noise(random() % 300, '\0');
        for (char &c : noise)
            c = "\0=@/aPCI_SLOT_NAME"sv[random() % 18];
        parse_uevent(noise);
    }
}

} // namespace
} // namespace tally
