// tally-collector, or another program, as a child process, whose standard error goes to a file.
#pragma once

#include <csignal>
#include <string>
#include <sys/resource.h>
#include <sys/types.h>
#include <vector>

namespace tally {

// A program that was built beside this test's directory.
std::string built(const std::string &name);

class Program {
public:
    struct Limits {
        rlim_t largest_file = RLIM_INFINITY; // a write past it fails
        std::vector<int> cpus;               // empty: all
        std::string program = "tally-collector";
    };
    Program(const std::vector<std::string> &arguments, std::string output)
        : Program(arguments, std::move(output), Limits()) {}
    Program(const std::vector<std::string> &arguments, std::string output, const Limits &limits);
    ~Program(); // SIGKILL, if it still runs
    Program(const Program &) = delete;
    Program &operator=(const Program &) = delete;

    pid_t pid() const { return pid_; }
    void kill(int signal) const { ::kill(pid_, signal); }
    // The exit status, or minus the signal that ended it; -1000 if it runs longer than 30 s.
    int wait();
    std::string output() const;
    // The port from "listening on ADDRESS:PORT, ..."; 0 if the line does not come.
    int port() const;

private:
    std::string output_;
    pid_t pid_;
};

} // namespace tally
