// What tenants do with a device, against what the log says they did: real processes in real
// cgroups, real BPF on this kernel, through agent, TLS, collector and the auditor's report.
//
// One fleet per rung records all tenants at once; each test then looks at its own.
#include "tests/system/lab.h"

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <memory>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tally {
namespace {

constexpr const char *kDevice = "/dev/full"; // stands in: a character device nobody else opens
constexpr double kTolerance = 1.1;           // seconds: one scan, and a little

int open_device(Deed &deed, const char *path = kDevice) {
    int fd = open(path, O_RDWR);
    if (fd >= 0 && deed.opens++ == 0)
        deed.begin_ns = boottime_ns();
    return fd;
}

void release(Deed &deed, int fd) {
    deed.end_ns = boottime_ns();
    close(fd);
}

void send_fd(int socket, int fd) {
    char byte = 'x';
    iovec data = {&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message = {};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    sendmsg(socket, &message, 0);
}

int receive_fd(int socket) {
    char byte = 0;
    iovec data = {&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message = {};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    if (recvmsg(socket, &message, 0) != 1)
        return -1;
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
    return fd;
}

using Row = std::map<std::string, std::string>;

// Everything that the tenants below do, recorded on one rung; kept until the last test is through.
class Recorded {
public:
    explicit Recorded(const std::string &rung) {
        std::string rules;
        for (const char *name :
             {"plain", "duplicating", "forking", "exiting", "killed", "passing", "receiving",
              "opening-often", "path-only", "renaming", "early", "overlapping", "executing"})
            rules += "[[tenant]]\nname = \"" + std::string(name) + "\"\ncgroups = [\"/*/" + name +
                     "\"]\n";
        rules += "[[tenant]]\nname = \"reselling\"\nparent = \"middleman\"\ncgroups = "
                 "[\"/*/reselling\"]\n";
        lab_.write("tenants.d/lab.toml", rules);
        lab_.start_collector();
        early_opens();
        lab_.start_agent({"--hooks=" + rung});
        agent_started_ = boottime_ns();
        act();
        for (auto &[name, process] : processes_)
            process->join();
        sleep_ms(1500);
        EXPECT_TRUE(lab_.agent().says("connected")) << lab_.agent().output();
        lab_.stop_all();
        verified_ = lab_.tally({"verify", lab_.log()});
        rows_ = lab_.report();
    }

    const Deed &deed(const std::string &name) { return processes_.at(name)->deed(); }
    uint64_t agent_started() const { return agent_started_; }
    const std::map<std::string, Row> &rows() const { return rows_; }
    const Outcome &verified() const { return verified_; }

private:
    void start(const std::string &name, const std::function<void(Deed &)> &work) {
        processes_[name] = std::make_unique<TenantProcess>(lab_.cgroup(name), work);
    }

    void early_opens() {
        start("early", [](Deed &deed) {
            int fd = open_device(deed);
            sleep_ms(3500);
            release(deed, fd);
        });
        sleep_ms(300);
    }

    void act() {
        for (const char *name : {"plain", "reselling", "unnamed"}) {
            start(name, [](Deed &deed) {
                int fd = open_device(deed);
                sleep_ms(2300);
                release(deed, fd);
            });
        }
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
        start("exiting", [](Deed &deed) {
            open_device(deed);
            sleep_ms(1800);
            deed.end_ns = boottime_ns(); // exits without close
        });
        start("executing", [](Deed &deed) {
            open_device(deed);
            deed.end_ns = boottime_ns() + 2'000'000'000;
            execlp("sleep", "sleep", "2", nullptr);
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
        int sockets[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
        start("receiving", [&](Deed &deed) {
            int fd = receive_fd(sockets[0]);
            deed.begin_ns = boottime_ns();
            sleep_ms(2200);
            release(deed, fd);
        });
        start("passing", [&](Deed &deed) {
            int fd = open_device(deed);
            sleep_ms(2100);
            send_fd(sockets[1], fd);
            release(deed, fd);
        });
        close(sockets[0]);
        close(sockets[1]);
        start("killed", [](Deed &deed) {
            open_device(deed);
            pause();
        });
        sleep_ms(2400);
        processes_.at("killed")->deed().end_ns = boottime_ns();
        processes_.at("killed")->kill_now();
    }

    Lab lab_;
    std::map<std::string, std::unique_ptr<TenantProcess>> processes_;
    uint64_t agent_started_ = 0;
    Outcome verified_;
    std::map<std::string, Row> rows_;
};

class Holds : public testing::TestWithParam<const char *> {
protected:
    static void TearDownTestSuite() { recorded_.clear(); }

    Recorded &recorded() {
        auto &one = recorded_[GetParam()];
        if (!one)
            one = std::make_unique<Recorded>(GetParam());
        return *one;
    }
    bool traced() const { return std::string("traced") == GetParam(); }

    void expect_held(const std::string &name, uint64_t begin_ns) {
        const Deed &deed = recorded().deed(name);
        double held = static_cast<double>(deed.end_ns - begin_ns) / 1e9;
        ASSERT_TRUE(recorded().rows().contains(name)) << "no row for " << name;
        double attested = std::stod(recorded().rows().at(name).at("held_seconds"));
        EXPECT_NEAR(attested, held, kTolerance);
    }
    void expect_held(const std::string &name) { expect_held(name, recorded().deed(name).begin_ns); }

    void expect_opens(const std::string &name) {
        if (!traced())
            return; // scans see files, not opens
        ASSERT_TRUE(recorded().rows().contains(name)) << "no row for " << name;
        EXPECT_EQ(std::stoull(recorded().rows().at(name).at("opens")), recorded().deed(name).opens);
    }

    static inline std::map<std::string, std::unique_ptr<Recorded>> recorded_;
};

TEST_P(Holds, LogVerifies) {
    EXPECT_LE(recorded().verified().status, 1) << recorded().verified().output;
}

TEST_P(Holds, OpenAndClose) {
    expect_held("plain");
    expect_opens("plain");
}

TEST_P(Holds, ADuplicateHoldsOn) {
    expect_held("duplicating");
    expect_opens("duplicating");
}

TEST_P(Holds, AForkedChildHoldsOn) {
    expect_held("forking");
    expect_opens("forking");
}

TEST_P(Holds, ExitWithoutCloseReleases) {
    expect_held("exiting");
    expect_opens("exiting");
}

TEST_P(Holds, DeathBySignalReleases) {
    expect_held("killed");
    expect_opens("killed");
}

TEST_P(Holds, AnExecutedProgramHoldsOn) {
    expect_held("executing");
    expect_opens("executing");
}

TEST_P(Holds, APassedFileEndsTheSendersHold) {
    expect_held("passing");
    expect_opens("passing");
}

TEST_P(Holds, APassedFileBeginsTheReceiversHold) {
    expect_held("receiving");
    EXPECT_EQ(recorded().rows().at("receiving").at("opens"), "0");
    EXPECT_EQ(recorded().rows().at("receiving").at("found"), "1");
}

TEST_P(Holds, ShortOpensAreCountedOneByOne) {
    expect_opens("opening-often");
}

TEST_P(Holds, OverlappingHoldsOfOneWorkloadCountOnce) {
    expect_held("overlapping");
    expect_opens("overlapping");
}

TEST_P(Holds, PathOnlyAndFailedOpensAreNoHolds) {
    recorded();
    EXPECT_FALSE(recorded().rows().contains("path-only"));
}

TEST_P(Holds, AnotherNameForTheNumberIsTheSameDevice) {
    expect_held("renaming");
    expect_opens("renaming");
    EXPECT_EQ(recorded().rows().at("renaming").at("device"), "node:stand-in");
}

TEST_P(Holds, AFileOpenBeforeTheAgentCountsFromItsStart) {
    expect_held("early", recorded().agent_started());
    EXPECT_EQ(recorded().rows().at("early").at("found"), "1");
}

TEST_P(Holds, TheResellerIsNamed) {
    expect_held("reselling");
    EXPECT_EQ(recorded().rows().at("reselling").at("parent"), "middleman");
}

TEST_P(Holds, AWorkloadWithoutTenantKeepsItsPath) {
    recorded();
    bool found = false;
    for (const auto &[name, row] : recorded().rows())
        found |= row.at("tenant").empty() && row.at("cgroup").ends_with("/unnamed");
    EXPECT_TRUE(found);
}

INSTANTIATE_TEST_SUITE_P(Rungs, Holds, testing::Values("traced", "scanned"),
                         [](const auto &info) { return std::string(info.param); });

} // namespace
} // namespace tally
