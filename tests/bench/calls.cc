// Nanoseconds per call of what tallyd could slow down: open+close of an ordinary file, open+close
// of a watched device, and a system call that it has no business with. One line per figure: NAME
// NS.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <unistd.h>
#include <vector>

namespace {

double now_ns() {
    timespec now = {};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// The median of many short batches: robust against a neighbour's noise.
template <typename Call> double measure(const Call &call) {
    constexpr int kBatches = 101;
    constexpr int kCalls = 1000;
    std::vector<double> batches;
    for (int batch = 0; batch < kBatches; batch++) {
        double begin = now_ns();
        for (int i = 0; i < kCalls; i++)
            call();
        batches.push_back((now_ns() - begin) / kCalls);
    }
    std::nth_element(batches.begin(), batches.begin() + kBatches / 2, batches.end());
    return batches[kBatches / 2];
}

double open_close(const char *path) {
    return measure([path] {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            std::abort();
        close(fd);
    });
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: open_close FILE DEVICE\n");
        return 2;
    }
    std::printf("ordinary-open+close %.0f\n", open_close(argv[1]));
    std::printf("watched-open+close %.0f\n", open_close(argv[2]));
    std::printf("getppid %.0f\n", measure([] { getppid(); }));
    return 0;
}
