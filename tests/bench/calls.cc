// Nanoseconds per call of what tallyd could slow down: open+close of an ordinary file, open+close
// and ioctl of a watched device, a system call that it has no business with, and a launch through a
// library with libcuda's function names; and, with a stand-in for a GPU (fake_gpu.cc), ioctls while
// it is held: an unrelated one, one with a number that is looked at, and a channel that is asked
// for. One line per figure: NAME NS. Under QEMU's -icount a nanosecond is an instruction.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vector>

namespace {

double now_ns() {
    timespec now = {};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// The median of many short batches: robust against a neighbour's noise.
template <typename Call> void measure(const char *name, size_t calls, const Call &call) {
    constexpr size_t kBatches = 51;
    std::vector<double> batches;
    for (size_t batch = 0; batch < kBatches; batch++) {
        double begin = now_ns();
        for (size_t i = 0; i < calls; i++)
            call();
        batches.push_back((now_ns() - begin) / static_cast<double>(calls));
    }
    std::nth_element(batches.begin(), batches.begin() + kBatches / 2, batches.end());
    std::printf("%s %.0f\n", name, batches[kBatches / 2]);
}

int open_or_abort(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        std::abort();
    return fd;
}

// A channel of NVIDIA's (NVOS64_PARAMETERS, nvos.h).
void ask_for_channel(int control) {
    struct {
        uint32_t client, parent, object, object_class;
        uint64_t parameters, rights;
        uint32_t size, flags, status, pad;
    } asked = {0xc1d00001, 0x10, 0x30, 0xc86f, 0, 0, 0, 0, 0, 0};
    if (ioctl(control, _IOWR('F', 0x2b, asked), &asked) != 0)
        std::abort();
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 5) {
        std::fprintf(stderr, "usage: calls FILE DEVICE LIBRARY CALLS-PER-BATCH [fake-gpu]\n");
        return 2;
    }
    size_t calls = std::strtoul(argv[4], nullptr, 10);
    int device = open_or_abort(argv[2]);
    measure("ordinary-open+close", calls, [&] { close(open_or_abort(argv[1])); });
    measure("watched-open+close", calls, [&] { close(open_or_abort(argv[2])); });
    measure("watched-ioctl", calls, [&] { ioctl(device, _IO('t', 0)); }); // refused by the driver
    measure("unrelated-getppid", calls, [] { getppid(); });
    void *library = dlopen(argv[3], RTLD_NOW);
    auto launch = reinterpret_cast<int (*)()>(library ? dlsym(library, "cuLaunchKernel") : nullptr);
    if (launch == nullptr)
        std::abort();
    sleep(3); // the agent looks once a second at what holders have mapped
    measure("cuda-launch", calls, launch);
    if (argc < 6) {
        sleep(2); // what is attached for a holder's sake can be looked at while it is
        return 0;
    }
    int control = open_or_abort("/dev/nvidiactl");
    open_or_abort("/dev/nvidia0");
    sleep(3); // likewise at what they hold
    measure("gpu-held-ioctl", calls, [&] { ioctl(device, _IO('t', 0)); });
    measure("gpu-held-ioctl-0x2b", calls, [&] { ioctl(device, _IO('t', 0x2b)); });
    measure("gpu-held-channel", calls, [&] { ask_for_channel(control); });
    return 0;
}
