// Nanoseconds per call of what tallyd could slow down: open+close of an ordinary file, open+close
// and ioctl of a watched device, a system call that it has no business with, and a launch through a
// library with libcuda's function names. One line per figure: NAME NS. Under QEMU's -icount a
// nanosecond is an instruction.
#include <algorithm>
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

} // namespace

int main(int argc, char **argv) {
    if (argc != 5) {
        std::fprintf(stderr, "usage: calls FILE DEVICE LIBRARY CALLS-PER-BATCH\n");
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
    sleep(2); // what is attached for a holder's sake can be looked at while it is
    return 0;
}
