// Many processes with many open files: crowd PROCESSES DESCRIPTORS PATH. Says "ready" once they
// stand, and leaves when its standard input ends.
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

[[noreturn]] void stand(const char *path, int descriptors, int ready) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 0; i < descriptors; i++) {
        if (open(path, O_RDONLY) < 0) {
            std::perror(path);
            _exit(1);
        }
    }
    if (write(ready, "", 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

} // namespace

int main(int argc, char **argv) {
    int ready[2];
    if (argc != 4 || pipe(ready) != 0) {
        std::fprintf(stderr, "usage: crowd PROCESSES DESCRIPTORS PATH\n");
        return 2;
    }
    int processes = std::atoi(argv[1]);
    rlimit limit = {};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int i = 0; i < processes; i++) {
        if (fork() == 0)
            stand(argv[3], std::atoi(argv[2]), ready[1]);
    }
    close(ready[1]);
    char byte = 0;
    for (int i = 0; i < processes; i++) {
        if (read(ready[0], &byte, 1) != 1) {
            std::fprintf(stderr, "crowd: a process failed\n");
            return 1;
        }
    }
    std::puts("ready");
    std::fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    return 0;
}
