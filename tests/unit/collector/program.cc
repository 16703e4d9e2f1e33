#include "tests/unit/collector/program.h"

#include "base/durable.h"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <sched.h>
#include <sys/wait.h>
#include <thread>

namespace tally {

using namespace std::chrono_literals;

std::string built(const std::string &name) {
    auto self = std::filesystem::read_symlink("/proc/self/exe");
    return (self.parent_path().parent_path() / name).string();
}

Program::Program(const std::vector<std::string> &arguments, std::string output,
                 const Limits &limits)
    : output_(std::move(output)) {
    std::vector<std::string> command = {built(limits.program)};
    command.insert(command.end(), arguments.begin(), arguments.end());
    std::vector<char *> argv;
    for (std::string &word : command)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    for (int cpu : limits.cpus)
        CPU_SET(cpu, &cpus);
    Fd log(open(output_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    pid_ = fork();
    if (pid_ != 0)
        return;
    dup2(log.get(), STDOUT_FILENO);
    dup2(log.get(), STDERR_FILENO);
    if (limits.largest_file != RLIM_INFINITY) {
        std::signal(SIGXFSZ, SIG_IGN); // a write past the limit fails with EFBIG
        rlimit limit{limits.largest_file, limits.largest_file};
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    if (!limits.cpus.empty())
        sched_setaffinity(0, sizeof(cpus), &cpus);
    execv(argv[0], argv.data());
    _exit(127);
}

Program::~Program() {
    if (pid_ > 0) {
        kill(SIGKILL);
        wait();
    }
}

int Program::wait() {
    for (int i = 0; i < 3000; ++i) {
        int status = 0;
        if (waitpid(pid_, &status, WNOHANG) == pid_) {
            pid_ = -1;
            return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
        }
        std::this_thread::sleep_for(10ms);
    }
    return -1000;
}

std::string Program::output() const {
    auto text = read_text(output_, 64U << 20);
    return text ? *text : "";
}

int Program::port() const {
    for (int i = 0; i < 1000; ++i, std::this_thread::sleep_for(10ms)) {
        std::string text = output();
        size_t line = text.find("listening on 127.0.0.1:");
        if (line != std::string::npos && text.find('\n', line) != std::string::npos)
            return std::atoi(text.c_str() + line + 23);
    }
    return 0;
}

} // namespace tally
