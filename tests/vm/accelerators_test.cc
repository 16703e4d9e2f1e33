// Accelerators as hosts really give them to tenants: VFIO and QEMU in libvirt's cgroups, a function
// reset and taken away under its holder, a render node that comes after the agent.
#include "tests/system/passing.h"
#include "tests/vm/fleet.h"
#include "tests/vm/passthrough.h"

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <sys/socket.h>
#include <unistd.h>

namespace tally {
namespace {

class Accelerators : public Recording {
protected:
    static void SetUpTestSuite() {
        load_vfio();
        for (const std::string &address : spare_functions())
            functions_.push_back(std::make_unique<PassedThrough>(address));
        ASSERT_EQ(functions_.size(), 2U) << "boot with --vfio";
    }
    static void TearDownTestSuite() {
        Recording::TearDownTestSuite();
        functions_.clear();
    }
    static const PassedThrough &first() { return *functions_.at(0); }
    static const PassedThrough &second() { return *functions_.at(1); }

    // A process that uses a function as QEMU does, for so long; its deed says when it has it.
    static TenantProcess start_user(const ServiceCgroup &scope, const PassedThrough &function,
                                    unsigned milliseconds) {
        return {scope.directory(), [&function, milliseconds](Deed &deed) {
                    deed.before_ns = boottime_ns();
                    {
                        VfioFiles files = open_vfio(function.group());
                        deed.begin_ns = boottime_ns();
                        use_vfio(files, function.address());
                        deed.opens = 1;
                        sleep_ms(milliseconds);
                        deed.end_ns = boottime_ns();
                    }
                    deed.after_ns = boottime_ns();
                }};
    }
    // A guest of its own kind, emulated: its firmware runs with the function on its bus.
    static TenantProcess start_qemu(const ServiceCgroup &scope, const PassedThrough &function) {
        return {scope.directory(), [&](Deed &) {
                    std::string device = "vfio-pci,host=" + function.address();
                    execlp("qemu-system-x86_64", "qemu-system-x86_64", "-accel", "tcg", "-m", "96M",
                           "-display", "none", "-nodefaults", "-device", device.c_str(), nullptr);
                }};
    }
    // The last file is released somewhere in its death, which resets the function.
    static Span kill_guest(TenantProcess &guest, const Sighting &open) {
        uint64_t killed = boottime_ns();
        guest.kill_now();
        return {killed - open.seen_ns, boottime_ns() - open.not_yet_ns};
    }

private:
    static inline std::vector<std::unique_ptr<PassedThrough>> functions_;
};

TEST_P(Accelerators, TwoGuestsHoldTheirFunctions) {
    ServiceCgroup first_scope(machine_scope(1, "first"));
    ServiceCgroup second_scope(machine_scope(2, "second"));
    TenantProcess first_guest = start_qemu(first_scope, first());
    Sighting first_open = first_seen_with(first_guest.pid(), first().group());
    ASSERT_NE(first_open.seen_ns, 0U);
    TenantProcess second_guest = start_qemu(second_scope, second());
    Sighting second_open = first_seen_with(second_guest.pid(), second().group());
    ASSERT_NE(second_open.seen_ns, 0U);
    ASSERT_NE(first_seen_with(second_guest.pid(), "anon_inode:[vfio-device]").seen_ns, 0U);
    sleep_ms(1500);

    Span first_span = kill_guest(first_guest, first_open);
    sleep_ms(700);
    Span second_span = kill_guest(second_guest, second_open);

    read_report();
    expect_held("first", first().name_in_report(), first_span);
    expect_held("second", second().name_in_report(), second_span);
    expect_opens("first", 1);
    expect_opens("second", 1);
}

// libvirt opens what its guests may not, and passes it.
TEST_P(Accelerators, APassedGroupIsItsReceivers) {
    ServiceCgroup service("/system.slice/libvirtd.service");
    ServiceCgroup scope(machine_scope(3, "receiver"));
    int sockets[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    char byte = 'x';
    TenantProcess receiver(scope.directory(), [&](Deed &deed) {
        {
            VfioFiles files;
            files.group.reset(receive_fd(sockets[1], &byte, 1));
            deed.begin_ns = boottime_ns();
            files.container.reset(receive_fd(sockets[1], &byte, 1));
            use_vfio(files, first().address());
            sleep_ms(2000);
            deed.end_ns = boottime_ns();
        }
        deed.after_ns = boottime_ns();
    });
    TenantProcess manager(service.directory(), [&](Deed &deed) {
        deed.before_ns = boottime_ns();
        {
            VfioFiles files = open_vfio(first().group());
            deed.begin_ns = boottime_ns();
            sleep_ms(1700);
            deed.end_ns = boottime_ns();
            send_fd(sockets[0], files.group.get(), &byte, 1);
            send_fd(sockets[0], files.container.get(), &byte, 1);
        }
        deed.after_ns = boottime_ns();
    });
    manager.join();
    receiver.join();
    close(sockets[0]);
    close(sockets[1]);
    ASSERT_NE(receiver.deed().after_ns, 0U);
    // Nothing is received before it is sent; on its way it is the sender's.
    receiver.deed().before_ns = manager.deed().end_ns;
    manager.deed().after_ns = std::max(manager.deed().after_ns, receiver.deed().begin_ns);
    read_report();
    expect_held("receiver", first().name_in_report(), span(receiver.deed()));
    expect_opens("receiver", 0);
    expect_held("manager", first().name_in_report(), span(manager.deed()));
    expect_opens("manager", 1);
}

// The same with VFIO's device files (Linux 6.6 on) and a QEMU that takes them passed.
TEST_P(Accelerators, APassedDeviceFileIsItsGuests) {
    if (!has_iommufd())
        GTEST_SKIP() << "this kernel has no iommufd";
    ServiceCgroup service("/system.slice/libvirtd.service");
    ServiceCgroup scope(machine_scope(9, "modern"));
    int sockets[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    char byte = 'x';
    TenantProcess guest(scope.directory(), [&](Deed &deed) {
        std::string device = std::to_string(receive_fd(sockets[1], &byte, 1));
        deed.begin_ns = boottime_ns();
        std::string iommu = std::to_string(receive_fd(sockets[1], &byte, 1));
        iommu = "iommufd,id=iommu,fd=" + iommu;
        device = "vfio-pci,iommufd=iommu,fd=" + device;
        const char *qemu = "build/vm/qemu/usr/bin/qemu-system-x86_64"; // tests/vm/iommufd
        execl(qemu, qemu, "-accel", "tcg", "-m", "96M", "-display", "none", "-nodefaults",
              "-object", iommu.c_str(), "-device", device.c_str(), nullptr);
        _exit(127);
    });
    TenantProcess manager(service.directory(), [&](Deed &deed) {
        Fd device(open(second().device_file().c_str(), O_RDWR | O_CLOEXEC));
        Fd iommu(open("/dev/iommu", O_RDWR | O_CLOEXEC));
        deed.end_ns = boottime_ns();
        send_fd(sockets[0], device.get(), &byte, 1);
        send_fd(sockets[0], iommu.get(), &byte, 1);
    });
    manager.join();
    close(sockets[0]);
    close(sockets[1]);
    ASSERT_TRUE(until([&] { return second().is_enabled(); })) << "QEMU did not set it up";
    sleep_ms(1500);
    Span held = kill_guest(guest, {manager.deed().end_ns, guest.deed().begin_ns});
    read_report();
    expect_held("modern", second().name_in_report(), held);
    expect_opens("modern", 0);
}

// The device's own file, which is no device node's, keeps the group open (vfio_group_use_container
// takes a reference to the group's file). No descriptor table shows that.
TEST_P(Accelerators, TheDeviceFileAloneHolds) {
    if (!sees_releases())
        GTEST_SKIP() << "a scan does not see it: the group is in no descriptor table";
    ServiceCgroup scope(machine_scope(4, "keeper"));
    TenantProcess keeper(scope.directory(), [&](Deed &deed) {
        deed.before_ns = boottime_ns();
        {
            VfioFiles files = open_vfio(second().group());
            deed.begin_ns = boottime_ns();
            use_vfio(files, second().address());
            files.group.reset();
            files.container.reset();
            sleep_ms(2500);
            deed.end_ns = boottime_ns();
        }
        deed.after_ns = boottime_ns();
    });
    keeper.join();
    ASSERT_NE(keeper.deed().after_ns, 0U);
    read_report();
    expect_held("keeper", second().name_in_report(), span(keeper.deed()));
}

TEST_P(Accelerators, AResetEndsNoHold) {
    ServiceCgroup scope(machine_scope(5, "reset"));
    TenantProcess user = start_user(scope, second(), 2000);
    ASSERT_TRUE(until([&] { return user.deed().opens == 1; }));
    sleep_ms(800);
    second().poke("reset");
    ASSERT_EQ(user.deed().end_ns, 0U) << "the reset took longer than the hold";
    user.join();
    read_report();
    expect_held("reset", second().name_in_report(), span(user.deed()));
    expect_opens("reset", 1);
}

// A function is taken off the bus under its holder: the kernel waits for the holder to let go.
TEST_P(Accelerators, ARemovedFunctionReturnsUnderItsOwnName) {
    ServiceCgroup scope(machine_scope(6, "removed"));
    TenantProcess user = start_user(scope, first(), 2000);
    ASSERT_TRUE(until([&] { return user.deed().opens == 1; }));
    first().poke("remove");
    EXPECT_NE(user.deed().end_ns, 0U) << "removed while it was held";
    user.join();
    EXPECT_EQ(spare_functions().size(), 1U);

    write_attribute("/sys/bus/pci/rescan", "1");
    first().bind();
    let_the_agent_look_for_devices();
    ServiceCgroup next_scope(machine_scope(7, "returned"));
    TenantProcess next = start_user(next_scope, first(), 2000);
    next.join();
    read_report();
    expect_held("removed", first().name_in_report(), span(user.deed()));
    expect_held("returned", first().name_in_report(), span(next.deed()));
}

// vgem: a real DRM device without hardware (drivers/gpu/drm/vgem).
TEST_P(Accelerators, ARenderNodeThatComesLaterIsRecorded) {
    constexpr const char *kNode = "/dev/dri/renderD128";
    ASSERT_FALSE(std::filesystem::exists(kNode));
    Outcome loaded = run({"modprobe", "vgem"});
    ASSERT_EQ(loaded.status, 0) << loaded.output;
    ASSERT_TRUE(until([&] { return std::filesystem::exists(kNode); }));
    let_the_agent_look_for_devices();
    ServiceCgroup scope(machine_scope(8, "rendering"));
    TenantProcess tenant(scope.directory(), [&](Deed &deed) {
        deed.before_ns = boottime_ns();
        int fd = open(kNode, O_RDWR);
        if (fd < 0)
            _exit(1);
        deed.begin_ns = boottime_ns();
        sleep_ms(2000);
        deed.end_ns = boottime_ns();
        close(fd);
        deed.after_ns = boottime_ns();
    });
    tenant.join();
    ASSERT_NE(tenant.deed().after_ns, 0U);
    read_report();
    expect_held("rendering", "drm:vgem", span(tenant.deed()));
    expect_opens("rendering", 1);
    EXPECT_EQ(run({"modprobe", "-r", "vgem"}).status, 0);
}

// One suite per rung, so that each rung's agent starts once.
INSTANTIATE_TEST_SUITE_P(Exact, Accelerators, on_rung("exact"));
INSTANTIATE_TEST_SUITE_P(Kprobe, Accelerators, on_rung("kprobe"));
INSTANTIATE_TEST_SUITE_P(Traced, Accelerators, on_rung("traced"));
INSTANTIATE_TEST_SUITE_P(Scanned, Accelerators, on_rung("scanned"));

} // namespace
} // namespace tally
