// A real collector, a real agent and real tenants in their own cgroups, for one test. Everything it
// starts or creates is gone when it is.
#pragma once

#include "base/fd.h"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <sys/types.h>
#include <vector>

namespace tally {

// The rungs of the ladder to test: TALLY_RUNGS="exact,kprobe", or those that every kernel offers.
std::vector<std::string> rungs();

uint64_t boottime_ns();
std::string cgroup2_mount(); // where the v2 hierarchy is mounted
void sleep_ms(unsigned milliseconds);

// A finished program: its status and what it printed on both outputs.
struct Outcome {
    int status = -1; // exit status; 128 + signal if killed
    std::string output;
};
Outcome run(const std::vector<std::string> &command);

// A program in the background, its output in a file. Killed if still there at the end.
class Program {
public:
    Program() = default;
    Program(const std::vector<std::string> &command, const std::string &output_file);
    Program(Program &&other) noexcept { *this = std::move(other); }
    Program &operator=(Program &&other) noexcept;
    ~Program();

    pid_t pid() const { return pid_; }
    std::string output() const;
    // Whether `text` shows up in its output before it ends, or the time is over.
    bool says(const std::string &text, unsigned milliseconds = 10000) const;
    bool has_ended() const;
    int stop(int signal); // sends it and returns the exit status, as in Outcome

private:
    pid_t pid_ = -1;
    std::string output_file_;
};

class Lab {
public:
    static constexpr const char *kHost = "host1.example";

    Lab();
    ~Lab();
    Lab(const Lab &) = delete;
    Lab &operator=(const Lab &) = delete;

    std::string path(const std::string &name) const { return directory_ + "/" + name; }
    static std::string program(const std::string &name); // beside this test, in build/
    std::string keys() const { return path("keys"); }
    std::string log() const { return path("collector/log"); }
    const std::string &pins() const { return pins_; } // on bpffs; the agent creates it
    int port() const { return port_; }
    void write(const std::string &name, const std::string &contents) const;

    // The configuration that start_agent() uses; tests edit it or write their own.
    // `recording` are more lines of its table, `extra` what follows.
    std::string agent_config(const std::string &extra = "",
                             const std::string &recording = "") const;
    void start_collector();
    void start_agent(const std::vector<std::string> &options = {});
    Program &agent() { return agent_; }
    Program &collector() { return collector_; }
    // SIGTERM to both, agent first; their exit statuses must be 0.
    void stop_all();

    // Creates cgroup `name` below this lab's own and returns its directory. Each is its tenant's
    // unless `attributed` is false.
    std::string cgroup(const std::string &name);

    // tally with the lab's keys.
    Outcome tally(std::vector<std::string> arguments) const;
    // tally report --csv by tenant name; unattributed rows by cgroup path.
    std::map<std::string, std::map<std::string, std::string>> report() const;

private:
    std::string directory_;
    std::string pins_;    // directory on bpffs
    std::string cgroups_; // directory below the v2 mount
    std::vector<std::string> cgroup_names_;
    int port_ = 0;
    Program collector_;
    Program agent_;
};

// What a tenant did, by its own clock. It may be stopped between a deed and its looking at the
// clock: who cares looks on both sides.
struct Deed {
    uint64_t before_ns = 0; // just before the first open
    uint64_t begin_ns = 0;  // just after it
    uint64_t end_ns = 0;    // just before the last release
    uint64_t after_ns = 0;  // just after it
    uint64_t opens = 0;
    int fd = -1;                      // of the last open
    volatile bool agent_runs = false; // told to a tenant who waits for it
};

// A child process inside `cgroup_directory` running `work`, whose Deed is shared memory.
class TenantProcess {
public:
    TenantProcess(const std::string &cgroup_directory, const std::function<void(Deed &)> &work);
    TenantProcess(TenantProcess &&other) noexcept;
    ~TenantProcess();
    pid_t pid() const { return pid_; }
    void kill_now();
    void join();
    const Deed &deed() const { return *deed_; }
    Deed &deed() { return *deed_; }

private:
    pid_t pid_ = -1;
    Deed *deed_ = nullptr;
};

} // namespace tally
