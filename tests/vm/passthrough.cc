#include "tests/vm/passthrough.h"

#include "base/durable.h"
#include "tests/system/lab.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

namespace tally {

namespace fs = std::filesystem;

namespace {

constexpr const char *kCgroups = "/sys/fs/cgroup";
constexpr const char *kFunctions = "/sys/bus/pci/devices";

[[noreturn]] void give_up(const std::string &what) {
    std::perror(what.c_str());
    _exit(1);
}

} // namespace

bool until(const std::function<bool()> &condition, unsigned milliseconds) {
    uint64_t give_up_ns = boottime_ns() + milliseconds * uint64_t{1'000'000};
    while (!condition()) {
        if (boottime_ns() > give_up_ns)
            return false;
        sleep_ms(2);
    }
    return true;
}

void write_attribute(const std::string &path, const std::string &value) {
    Fd attribute(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    ssize_t written = write(attribute.get(), value.data(), value.size());
    EXPECT_EQ(written, static_cast<ssize_t>(value.size()))
        << "write " << value << " to " << path << ": " << std::strerror(errno);
}

std::vector<std::string> spare_functions() {
    std::vector<std::string> found;
    for (const auto &function : fs::directory_iterator(kFunctions)) {
        auto code = read_text(function.path() / "class");
        if (code && code->starts_with("0x0380"))
            found.push_back(function.path().filename());
    }
    std::sort(found.begin(), found.end());
    return found;
}

void load_vfio() {
    Outcome loaded = run({"modprobe", "-a", "vfio-pci", "vfio_iommu_type1"});
    ASSERT_EQ(loaded.status, 0) << loaded.output;
    write_attribute("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "1");
    if (has_iommufd())
        write_attribute("/sys/module/iommufd/parameters/allow_unsafe_interrupts", "1");
}

bool has_iommufd() {
    return fs::exists("/dev/iommu");
}

PassedThrough::PassedThrough(std::string address) : address_(std::move(address)) {
    bind();
}

PassedThrough::~PassedThrough() {
    write_attribute("/sys/bus/pci/drivers/vfio-pci/unbind", address_);
    write_attribute(sysfs() + "/driver_override", "\n");
}

std::string PassedThrough::sysfs() const {
    return std::string(kFunctions) + "/" + address_;
}

void PassedThrough::bind() const {
    write_attribute(sysfs() + "/driver_override", "vfio-pci");
    write_attribute("/sys/bus/pci/drivers_probe", address_);
    EXPECT_TRUE(until([&] { return fs::exists(group()); })) << group();
}

std::string PassedThrough::group() const {
    std::error_code none;
    return "/dev/vfio/" + fs::read_symlink(sysfs() + "/iommu_group", none).filename().string();
}

std::string PassedThrough::device_file() const {
    for (const auto &node : fs::directory_iterator(sysfs() + "/vfio-dev"))
        return "/dev/vfio/devices/" + node.path().filename().string();
    return {};
}

bool PassedThrough::is_enabled() const {
    auto enabled = read_text(sysfs() + "/enable");
    return enabled && *enabled != "0\n";
}

void PassedThrough::poke(const std::string &attribute) const {
    write_attribute(sysfs() + "/" + attribute, "1");
}

ServiceCgroup::ServiceCgroup(const std::string &path) : directory_(kCgroups + path) {
    EXPECT_TRUE(fs::create_directories(directory_)) << directory_;
}

ServiceCgroup::~ServiceCgroup() {
    EXPECT_EQ(rmdir(directory_.c_str()), 0) << directory_ << ": " << std::strerror(errno);
}

std::string machine_scope(int number, const std::string &guest) {
    std::string escaped;
    for (char letter : guest)
        escaped += letter == '-' ? std::string("\\x2d") : std::string(1, letter);
    return "/machine.slice/machine-qemu\\x2d" + std::to_string(number) + "\\x2d" + escaped +
           ".scope";
}

VfioFiles open_vfio(const std::string &group) {
    VfioFiles files;
    files.group.reset(open(group.c_str(), O_RDWR | O_CLOEXEC));
    if (!files.group)
        give_up(group);
    files.container.reset(open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
    if (!files.container)
        give_up("/dev/vfio/vfio");
    return files;
}

void use_vfio(VfioFiles &files, const std::string &address) {
    vfio_group_status status = {.argsz = sizeof(status), .flags = 0};
    if (ioctl(files.group.get(), VFIO_GROUP_GET_STATUS, &status) != 0 ||
        (status.flags & VFIO_GROUP_FLAGS_VIABLE) == 0)
        give_up(address + ": its group is not viable");
    int container = files.container.get();
    if (ioctl(files.group.get(), VFIO_GROUP_SET_CONTAINER, &container) != 0 ||
        ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) != 0)
        give_up(address + ": no IOMMU");
    constexpr size_t kMemory = 2U << 20;
    void *memory =
        mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    vfio_iommu_type1_dma_map map = {};
    map.argsz = sizeof(map);
    map.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
    map.vaddr = reinterpret_cast<uint64_t>(memory);
    map.size = kMemory;
    if (ioctl(container, VFIO_IOMMU_MAP_DMA, &map) != 0)
        give_up(address + ": map memory");
    files.device.reset(ioctl(files.group.get(), VFIO_GROUP_GET_DEVICE_FD, address.c_str()));
    if (!files.device)
        give_up(address + ": get the device's file");
}

Sighting first_seen_with(pid_t pid, const std::string &name) {
    Sighting sighting;
    until([&] {
        uint64_t looked_ns = boottime_ns();
        std::error_code none;
        fs::directory_iterator fds("/proc/" + std::to_string(pid) + "/fd", none);
        for (; !none && fds != fs::directory_iterator(); fds.increment(none)) {
            if (fs::read_symlink(fds->path(), none) == name)
                sighting.seen_ns = boottime_ns();
        }
        if (sighting.seen_ns == 0)
            sighting.not_yet_ns = looked_ns;
        return sighting.seen_ns != 0;
    });
    return sighting;
}

} // namespace tally
