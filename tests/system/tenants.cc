#include "tests/system/tenants.h"

#include "base/fd.h"
#include "tests/system/passing.h"

#include <csignal>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tally {

namespace {

constexpr const char *kDevice = "/dev/full"; // stands in: a character device nobody else opens

int open_device(Deed &deed, const char *path = kDevice) {
    uint64_t before = boottime_ns();
    int fd = open(path, O_RDWR);
    if (fd >= 0 && deed.opens++ == 0) {
        deed.before_ns = before;
        deed.begin_ns = boottime_ns();
    }
    deed.fd = fd;
    return fd;
}

void release(Deed &deed, int fd) {
    deed.end_ns = boottime_ns();
    close(fd);
    deed.after_ns = boottime_ns();
}

} // namespace

RecordedTenants::RecordedTenants(const std::string &rung) {
    configure();
    lab_.start_collector();
    open_early();
    lab_.start_agent({"--hooks=" + rung});
    agent_started_ = boottime_ns();
    processes_.at("early")->deed().agent_runs = true;
    open_and_release();
    share_in_a_workload();
    pass();
    cross_cgroups();
    await_a_node();
    be_killed();
    for (auto &[name, process] : processes_)
        process->join();
    sleep_ms(1500);
    EXPECT_TRUE(lab_.agent().says("connected")) << lab_.agent().output();
    lab_.stop_all();
    verified_ = lab_.tally({"verify", lab_.log()});
    rows_ = lab_.report();
}

void RecordedTenants::configure() {
    std::string rules;
    for (const char *name : {"plain",     "duplicating", "forking",       "exiting",    "killed",
                             "passing",   "receiving",   "opening-often", "path-only",  "renaming",
                             "early",     "overlapping", "executing",     "taken-from", "taking",
                             "begetting", "begotten",    "leaving",       "arriving",   "awaiting"})
        rules +=
            "[[tenant]]\nname = \"" + std::string(name) + "\"\ncgroups = [\"/*/" + name + "\"]\n";
    rules += "[[tenant]]\nname = \"reselling\"\nparent = \"middleman\"\ncgroups = "
             "[\"/*/reselling\"]\n";
    lab_.write("tenants.d/lab.toml", rules);
    lab_.write("tallyd.toml", lab_.agent_config("[[device]]\nname = \"stand-in\"\nnode = \"" +
                                                std::string(kDevice) +
                                                "\"\n[[device]]\nname = \"later\"\nnode = \"" +
                                                lab_.path("later") + "\"\n"));
}

void RecordedTenants::start(const std::string &name, const std::function<void(Deed &)> &work) {
    directories_[name] = lab_.cgroup(name);
    processes_[name] = std::make_unique<TenantProcess>(directories_[name], work);
}

void RecordedTenants::open_early() {
    start("early", [](Deed &deed) {
        int fd = open_device(deed);
        while (!deed.agent_runs) // an emulated machine takes its time
            sleep_ms(10);
        sleep_ms(2500);
        release(deed, fd);
    });
    sleep_ms(300);
}

void RecordedTenants::open_and_release() {
    for (const char *name : {"plain", "reselling", "unnamed"}) {
        start(name, [](Deed &deed) {
            int fd = open_device(deed);
            sleep_ms(2300);
            release(deed, fd);
        });
    }
    start("exiting", [](Deed &deed) {
        open_device(deed);
        sleep_ms(1800);
        deed.end_ns = boottime_ns(); // exits without close
    });
    start("executing", [](Deed &deed) {
        pid_t child = fork();
        if (child == 0) {
            open_device(deed);
            execlp("sleep", "sleep", "2", nullptr);
        }
        waitpid(child, nullptr, 0);
        deed.after_ns = boottime_ns(); // the child's files went before it could be waited for
        deed.end_ns = deed.begin_ns + 2'000'000'000;
    });
    start("opening-often", [](Deed &deed) {
        for (int i = 0; i < 500; i++) {
            int fd = open_device(deed);
            release(deed, fd);
        }
    });
    start("path-only", [](Deed &) {
        int path_only = open(kDevice, O_PATH);
        int refused = open(kDevice, O_RDONLY | O_DIRECTORY);
        sleep_ms(1500);
        close(path_only);
        close(refused);
    });
    std::string other_name = lab_.path("another-name");
    EXPECT_EQ(mknod(other_name.c_str(), S_IFCHR | 0600, makedev(1, 7)), 0);
    start("renaming", [other_name](Deed &deed) {
        int fd = open_device(deed, other_name.c_str());
        sleep_ms(1600);
        release(deed, fd);
    });
}

// One workload, several descriptors or processes: the hold is their union.
void RecordedTenants::share_in_a_workload() {
    start("duplicating", [](Deed &deed) {
        int fd = open_device(deed);
        int copy = dup(fd);
        sleep_ms(1200);
        close(fd);
        sleep_ms(1700);
        release(deed, copy);
    });
    start("forking", [](Deed &deed) {
        int fd = open_device(deed);
        pid_t child = fork();
        if (child == 0) {
            sleep_ms(2600);
            release(deed, fd);
            _exit(0);
        }
        close(fd);
        waitpid(child, nullptr, 0);
    });
    start("overlapping", [](Deed &deed) { // two processes, one workload: the union counts
        int fd = open_device(deed);
        if (fork() == 0) {
            sleep_ms(1000);
            close(fd);
            open_device(deed);
            sleep_ms(1500);
            deed.end_ns = boottime_ns();
            _exit(0);
        }
        sleep_ms(2000);
        close(fd);
        wait(nullptr);
    });
}

void RecordedTenants::pass() {
    int sockets[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    start("receiving", [&](Deed &deed) {
        char byte = 0;
        int fd = receive_fd(sockets[0], &byte, 1);
        deed.begin_ns = boottime_ns();
        sleep_ms(2200);
        release(deed, fd);
    });
    start("passing", [&](Deed &deed) {
        int fd = open_device(deed);
        sleep_ms(2100);
        processes_.at("receiving")->deed().before_ns = boottime_ns();
        send_fd(sockets[1], fd, "x", 1);
        release(deed, fd);
    });
    close(sockets[0]);
    close(sockets[1]);
}

// A file that gets into another cgroup without being passed through a socket.
void RecordedTenants::cross_cgroups() {
    start("taken-from", [](Deed &deed) {
        int fd = open_device(deed);
        sleep_ms(2000);
        release(deed, fd);
    });
    const TenantProcess &owner = *processes_.at("taken-from");
    while (owner.deed().fd < 0)
        sleep_ms(1);
    start("taking", [pid = owner.pid(), wanted = owner.deed().fd](Deed &deed) {
        int pidfd = open_pidfd(pid);
        deed.before_ns = boottime_ns();
        int fd = take_fd(pidfd, wanted);
        deed.begin_ns = boottime_ns();
        sleep_ms(3500);
        release(deed, fd);
    });

    start("begotten", [](Deed &) {}); // its cgroup and its deed; the child comes from elsewhere
    start("begetting", [this](Deed &deed) {
        Fd elsewhere(open(directories_.at("begotten").c_str(), O_RDONLY | O_DIRECTORY));
        int fd = open_device(deed);
        sleep_ms(1700);
        processes_.at("begotten")->deed().before_ns = boottime_ns();
        pid_t child = fork_into(elsewhere.get());
        if (child == 0) {
            Deed &its = processes_.at("begotten")->deed();
            its.begin_ns = boottime_ns();
            sleep_ms(2300);
            release(its, fd);
            _exit(0);
        }
        release(deed, fd);
        waitpid(child, nullptr, 0);
    });

    start("arriving", [](Deed &) {});
    start("leaving", [this](Deed &deed) {
        Fd procs(open((directories_.at("arriving") + "/cgroup.procs").c_str(), O_WRONLY));
        int fd = open_device(deed);
        sleep_ms(1600);
        deed.end_ns = boottime_ns();
        ssize_t moved = write(procs.get(), "0", 1);
        Deed &there = processes_.at("arriving")->deed();
        there.before_ns = deed.end_ns;
        there.begin_ns = deed.after_ns = moved == 1 ? boottime_ns() : 0;
        sleep_ms(2400);
        release(there, fd);
    });
}

void RecordedTenants::await_a_node() {
    std::string later = lab_.path("later");
    EXPECT_EQ(mknod(later.c_str(), S_IFCHR | 0600, makedev(1, 5)), 0);
    start("awaiting", [later](Deed &deed) {
        int fd = open_device(deed, later.c_str());
        sleep_ms(4500);
        release(deed, fd);
    });
}

void RecordedTenants::be_killed() {
    start("killed", [](Deed &deed) {
        open_device(deed);
        pause();
    });
    sleep_ms(2400);
    processes_.at("killed")->deed().end_ns = boottime_ns();
    processes_.at("killed")->kill_now();
    processes_.at("killed")->deed().after_ns = boottime_ns();
}

} // namespace tally
