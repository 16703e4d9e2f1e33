#include "tests/system/fake_driver.h"

#include "base/fd.h"
#include "tests/system/lab.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <linux/fuse.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace tally {

namespace {

template <typename Value> Value get(std::span<const uint8_t> bytes, size_t at = 0) {
    Value value = {};
    if (at + sizeof(value) <= bytes.size())
        std::memcpy(&value, bytes.data() + at, sizeof(value));
    return value;
}

template <typename Value> void put(std::span<uint8_t> bytes, size_t at, const Value &value) {
    if (at + sizeof(value) <= bytes.size())
        std::memcpy(bytes.data() + at, &value, sizeof(value));
}

void reply(int cuse, uint64_t unique, int error, const void *first = nullptr, size_t first_size = 0,
           std::span<const uint8_t> more = {}) {
    fuse_out_header header = {.len =
                                  static_cast<uint32_t>(sizeof(header) + first_size + more.size()),
                              .error = error,
                              .unique = unique};
    iovec parts[] = {{&header, sizeof(header)},
                     {const_cast<void *>(first), first_size},
                     {const_cast<uint8_t *>(more.data()), more.size()}};
    [[maybe_unused]] ssize_t sent = writev(cuse, parts, 3);
}

void introduce(int cuse, uint64_t unique, const std::string &name, uint32_t major, uint32_t minor) {
    cuse_init_out out = {.major = FUSE_KERNEL_VERSION,
                         .minor = FUSE_KERNEL_MINOR_VERSION,
                         .max_read = 65536,
                         .max_write = 65536,
                         .dev_major = major,
                         .dev_minor = minor};
    std::string words = "DEVNAME=" + name;
    reply(cuse, unique, 0, &out, sizeof(out),
          {reinterpret_cast<const uint8_t *>(words.c_str()), words.size() + 1});
}

// The kernel fetched the structure by the command's direction and size.
void answer_ioctl(int cuse, const fuse_in_header &header, std::span<uint8_t> body,
                  const std::function<int(const Ioctl &)> &answer) {
    auto in = get<fuse_ioctl_in>(body);
    std::vector<uint8_t> bytes(std::max(in.in_size, in.out_size));
    std::memcpy(bytes.data(), body.data() + sizeof(in), in.in_size);
    fuse_ioctl_out out = {};
    out.result = answer({static_cast<pid_t>(header.pid), in.cmd, bytes});
    bytes.resize(in.out_size);
    reply(cuse, header.unique, 0, &out, sizeof(out), bytes);
}

void serve(const std::string &name, uint32_t major, uint32_t minor,
           const std::function<int(const Ioctl &)> &answer) {
    Fd cuse(open("/dev/cuse", O_RDWR | O_CLOEXEC));
    std::vector<uint8_t> buffer(1 << 20);
    for (;;) {
        ssize_t length = read(cuse.get(), buffer.data(), buffer.size());
        if (length < 0 && (errno == EINTR || errno == ENOENT)) // an interrupted request
            continue;
        if (length < static_cast<ssize_t>(sizeof(fuse_in_header)))
            return;
        std::span<uint8_t> message(buffer.data(), static_cast<size_t>(length));
        auto header = get<fuse_in_header>(message);
        std::span<uint8_t> body = message.subspan(sizeof(header));
        fuse_open_out opened = {};
        switch (header.opcode) {
        case CUSE_INIT:
            introduce(cuse.get(), header.unique, name, major, minor);
            break;
        case FUSE_OPEN:
            reply(cuse.get(), header.unique, 0, &opened, sizeof(opened));
            break;
        case FUSE_IOCTL:
            answer_ioctl(cuse.get(), header, body, answer);
            break;
        case FUSE_INTERRUPT:
            break;
        default:
            reply(cuse.get(), header.unique,
                  header.opcode == FUSE_RELEASE || header.opcode == FUSE_FLUSH ? 0 : -ENOSYS);
        }
    }
}

// Numbers and sizes: bpf/work/nvidia_rm.bpf.c.
int rm_answer(uint32_t number, std::span<uint8_t> bytes) {
    if (number == 0x2b && bytes.size() == 32)
        put(bytes, 28, get<uint32_t>(bytes, 16));
    else if (number == 0x2b && bytes.size() == 48)
        put(bytes, 40, get<uint32_t>(bytes, 16));
    else if (number == 0x29 && bytes.size() == 16)
        put(bytes, 12, get<uint32_t>(bytes, 4));
    return 0;
}

} // namespace

bool has_cuse() {
    if (!std::filesystem::exists("/dev/cuse"))
        run({"modprobe", "cuse"});
    return std::filesystem::exists("/dev/cuse");
}

FakeDriver::FakeDriver(const std::string &name, uint32_t major, uint32_t minor,
                       const std::function<int(const Ioctl &)> &answer)
    : node_("/dev/" + name), pid_(fork()) {
    if (pid_ == 0) {
        serve(name, major, minor, answer);
        _exit(0);
    }
    for (int i = 0; i < 500 && !std::filesystem::exists(node_); i++)
        sleep_ms(10);
    EXPECT_TRUE(std::filesystem::exists(node_));
}

FakeDriver::~FakeDriver() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
}

// What a transfer wraps, the driver fetches by itself.
int answer_as_nvidia(const Ioctl &ioctl) {
    if (_IOC_NR(ioctl.command) != 211)
        return rm_answer(_IOC_NR(ioctl.command), ioctl.bytes);
    std::vector<uint8_t> inner(get<uint32_t>(ioctl.bytes, 4));
    auto pointer = get<uint64_t>(ioctl.bytes, 8);
    iovec here = {inner.data(), inner.size()};
    iovec there = {reinterpret_cast<void *>(pointer), inner.size()};
    if (process_vm_readv(ioctl.process, &here, 1, &there, 1, 0) < 0)
        return pointer == kUnmappedMeanwhile ? 0 : -EFAULT;
    int result = rm_answer(get<uint32_t>(ioctl.bytes), inner);
    if (process_vm_writev(ioctl.process, &here, 1, &there, 1, 0) < 0)
        return -EFAULT;
    return result;
}

int answer_as_kfd(const Ioctl &ioctl) {
    static uint32_t next_queue = 0;
    if (_IOC_NR(ioctl.command) != 0x02)
        return 0;
    if (auto error = get<uint32_t>(ioctl.bytes, 44))
        return -static_cast<int>(error);
    put(ioctl.bytes, 52, next_queue++);
    return 0;
}

} // namespace tally
