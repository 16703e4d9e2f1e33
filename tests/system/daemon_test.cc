// tallyd when things go wrong: bad input ends in one clear line and the documented exit status, and
// whatever happens to the daemon, what was accepted is not lost.
#include "tests/system/lab.h"

#include "base/durable.h"

#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

namespace tally {
namespace {

namespace fs = std::filesystem;

constexpr const char *kStandIn = "[[device]]\nname = \"stand-in\"\nnode = \"/dev/full\"\n";

class Daemon : public testing::Test {
protected:
    // Runs tallyd on the lab's configuration with `from` replaced by `to`.
    Outcome refused(const std::string &from, const std::string &to) {
        std::string config = lab_.agent_config(kStandIn);
        size_t at = config.find(from);
        EXPECT_NE(at, std::string::npos) << from;
        lab_.write("bad.toml", config.replace(at, from.size(), to));
        return run({Lab::program("tallyd"), "--config", lab_.path("bad.toml")});
    }
    static void expect_one_line(const Outcome &outcome, int status, const std::string &about) {
        EXPECT_EQ(outcome.status, status) << outcome.output;
        EXPECT_NE(outcome.output.find(about), std::string::npos) << outcome.output;
        EXPECT_EQ(std::count(outcome.output.begin(), outcome.output.end(), '\n'), 1)
            << outcome.output;
    }
    std::string signing_key() const {
        return lab_.keys() + "/hosts/" + Lab::kHost + "/signing.key";
    }

    Lab lab_;
};

TEST_F(Daemon, ConfigurationMistakesAreNamed) {
    expect_one_line(refused("window_seconds = 1", "window_secs = 1"), 2,
                    "bad.toml:2: window_secs: unknown key");
    expect_one_line(refused("window_seconds = 1", "window_seconds = \"1\""), 2,
                    "window_seconds: must be a whole number");
    expect_one_line(refused("window_seconds = 1", "window_seconds = = 1"), 2, "bad.toml:2:");
}

TEST_F(Daemon, KeyFilesAreChecked) {
    expect_one_line(refused("signing.key", "absent.key"), 2, "absent.key: No such file");
    expect_one_line(refused("signing.pem", "tls.key"), 2, "not a PEM certificate");
    expect_one_line(refused("signing.pem", "tls.pem"), 2, "is not for the key in");
    expect_one_line(refused("/tls.pem", "/signing.key"), 2, "signing.key");
    expect_one_line(refused("log.vkeys", "fleet-ca.pem"), 2, "log keys");
    expect_one_line(refused("host = \"host1.example\"", "host = \"host2.example\""), 2,
                    "does not name host host2.example");
    lab_.write("keys/fleet-ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    expect_one_line(run({Lab::program("tallyd"), "--config", lab_.path("tallyd.toml")}), 2,
                    "fleet-ca.pem");
}

TEST_F(Daemon, AnExpiredCertificateIsRefusedAtStart) {
    Outcome made = run({Lab::program("tally"), "keys", lab_.path("old"), "--host", Lab::kHost,
                        "--collector", "localhost", "--expired"});
    ASSERT_EQ(made.status, 0) << made.output;
    std::string config = lab_.agent_config();
    for (size_t at = 0; (at = config.find("/keys/hosts/", at)) != std::string::npos;)
        config.replace(at, 12, "/old/hosts/");
    lab_.write("old.toml", config);
    expect_one_line(run({Lab::program("tallyd"), "--config", lab_.path("old.toml")}), 2, "expired");
}

TEST_F(Daemon, MissingCapabilitiesAreNamed) {
    Outcome outcome = run({"setpriv", "--bounding-set=-all", Lab::program("tallyd"), "--config",
                           lab_.path("tallyd.toml")});
    expect_one_line(outcome, 3, "missing CAP_BPF, CAP_PERFMON");
}

TEST_F(Daemon, CheckConfigNeedsNoPrivilege) {
    Outcome outcome = run({"setpriv", "--bounding-set=-all", Lab::program("tallyd"), "--config",
                           lab_.path("tallyd.toml"), "--check-config"});
    EXPECT_EQ(outcome.status, 0) << outcome.output;
}

TEST_F(Daemon, AnUnusableStateDirectoryIsNamed) {
    lab_.write("agent", "a file in the way");
    expect_one_line(run({Lab::program("tallyd"), "--config", lab_.path("tallyd.toml")}), 4,
                    lab_.path("agent"));
}

TEST_F(Daemon, TwoAgentsCannotShareASpool) {
    lab_.start_agent();
    expect_one_line(run({Lab::program("tallyd"), "--config", lab_.path("tallyd.toml")}), 4,
                    lab_.path("agent"));
    EXPECT_EQ(lab_.agent().stop(SIGTERM), 0);
}

TEST_F(Daemon, WithoutACollectorItRecordsAndDeliversLater) {
    std::string cgroup = lab_.cgroup("offline");
    lab_.start_agent();
    EXPECT_TRUE(lab_.agent().says("unreachable")) << lab_.agent().output();
    TenantProcess tenant(cgroup, [](Deed &deed) {
        int fd = open("/dev/full", O_RDONLY);
        deed.begin_ns = boottime_ns();
        sleep_ms(2600); // two scans at least, whichever rung this kernel offers
        deed.end_ns = boottime_ns();
        close(fd);
    });
    tenant.join();
    sleep_ms(1500);
    EXPECT_EQ(lab_.agent().stop(SIGTERM), 0);
    EXPECT_NE(lab_.agent().output().find("stays in the spool"), std::string::npos);

    lab_.start_collector();
    lab_.start_agent();
    EXPECT_TRUE(lab_.agent().says("connected")) << lab_.agent().output();
    lab_.stop_all();
    EXPECT_NE(lab_.agent().output().find("everything is receipted"), std::string::npos)
        << lab_.agent().output();
    auto rows = lab_.report();
    bool found = false;
    for (const auto &[name, row] : rows)
        found |= row.at("cgroup").ends_with("/offline") && std::stod(row.at("held_seconds")) > 0.9;
    EXPECT_TRUE(found);
}

TEST_F(Daemon, SurvivesSigkillWithItsChainUnbroken) {
    lab_.start_collector();
    for (int round = 0; round < 4; round++) {
        lab_.start_agent();
        EXPECT_TRUE(lab_.agent().says("connected")) << lab_.agent().output();
        sleep_ms(static_cast<unsigned>(700 + 433 * round));
        lab_.agent().stop(SIGKILL);
    }
    lab_.start_agent();
    EXPECT_TRUE(lab_.agent().says("connected")) << lab_.agent().output();
    sleep_ms(1200);
    lab_.stop_all();
    EXPECT_EQ(lab_.collector().output().find("refused"), std::string::npos)
        << lab_.collector().output();
    Outcome verified = lab_.tally({"verify", lab_.log()});
    EXPECT_LE(verified.status, 1) << verified.output;
}

TEST_F(Daemon, ADamagedSpoolRecordIsReportedAndTheRestIsKept) {
    lab_.start_agent();
    sleep_ms(4500);
    EXPECT_EQ(lab_.agent().stop(SIGTERM), 0);
    std::string segment = lab_.path("agent/spool/00000000000000000001.seg");
    auto bytes = read_file(segment);
    ASSERT_TRUE(bytes);
    Bytes damaged = *bytes;
    damaged[damaged.size() / 2] ^= 0x20;
    ASSERT_TRUE(replace_file(segment, damaged));
    lab_.start_agent();
    EXPECT_NE(lab_.agent().output().find(segment), std::string::npos) << lab_.agent().output();
    sleep_ms(1200);
    EXPECT_EQ(lab_.agent().stop(SIGTERM), 0) << lab_.agent().output();
}

TEST_F(Daemon, AFullDiskWidensWindowsAndStopsNothing) {
    fs::create_directory(lab_.path("agent"));
    ASSERT_EQ(mount("none", lab_.path("agent").c_str(), "tmpfs", 0, "size=3m"), 0);
    lab_.start_agent();
    sleep_ms(1500);
    ASSERT_TRUE(replace_file(lab_.path("agent/ballast"), Bytes(2300000, 'x')));
    EXPECT_TRUE(lab_.agent().says("disk is full", 4000)) << lab_.agent().output();
    sleep_ms(2500); // windows that are not cut
    EXPECT_EQ(unlink(lab_.path("agent/ballast").c_str()), 0);
    lab_.start_collector();
    EXPECT_TRUE(lab_.agent().says("connected")) << lab_.agent().output();
    EXPECT_EQ(lab_.agent().stop(SIGTERM), 0) << lab_.agent().output();
    EXPECT_EQ(lab_.collector().stop(SIGTERM), 0);
    EXPECT_EQ(umount(lab_.path("agent").c_str()), 0);
    Outcome verified = lab_.tally({"verify", lab_.log()});
    EXPECT_EQ(verified.status, 1) << verified.output; // the widening is a finding
    EXPECT_NE(verified.output.find("windows widened"), std::string::npos) << verified.output;
    EXPECT_NE(verified.output.find("coverage 100.00 %"), std::string::npos) << verified.output;
}

TEST_F(Daemon, ACollectorOfAnotherFleetGetsNothing) {
    Outcome made = run({Lab::program("tally"), "keys", lab_.path("other"), "--host", Lab::kHost,
                        "--collector", "localhost"});
    ASSERT_EQ(made.status, 0) << made.output;
    lab_.start_collector();
    std::string config = lab_.agent_config();
    size_t at = config.find("/keys/fleet-ca.pem");
    lab_.write("tallyd.toml", config.replace(at, 6, "/other/"));
    lab_.start_agent();
    EXPECT_TRUE(lab_.agent().says("certificate")) << lab_.agent().output();
    EXPECT_EQ(lab_.agent().output().find("connected;"), std::string::npos);
    lab_.stop_all();
}

TEST_F(Daemon, StaysUnderTwelveMebibytes) {
    lab_.start_collector();
    lab_.start_agent();
    EXPECT_TRUE(lab_.agent().says("connected")) << lab_.agent().output();
    sleep_ms(2500);
    auto status = read_text("/proc/" + std::to_string(lab_.agent().pid()) + "/status");
    ASSERT_TRUE(status);
    size_t at = status->find("VmRSS:");
    ASSERT_NE(at, std::string::npos);
    long kilobytes = std::stol(status->substr(at + 6));
    std::printf("tallyd: %ld KiB resident\n", kilobytes);
#ifndef __SANITIZE_ADDRESS__
    EXPECT_LE(kilobytes, 12 * 1024);
#endif
    lab_.stop_all();
}

} // namespace
} // namespace tally
