// `tallyd --explain PID` on real processes in real cgroups, beside a daemon that runs.
#include "tests/system/lab.h"

#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>
#include <unistd.h>

namespace tally {
namespace {

class Explain : public testing::Test {
protected:
    Explain() {
        lab_.write("tenants.d/lab.toml", "[[tenant]]\nname = \"acme\"\nparent = \"middleman\"\n"
                                         "ids = [\"systemd.unit=" +
                                             unit_ + "\"]\n");
    }
    ~Explain() override { rmdir((slice_ + unit_).c_str()); }
    // Where systemd has its units: below the hierarchy's root, not below this lab.
    std::string unit() {
        std::filesystem::create_directories(slice_ + unit_);
        return slice_ + unit_;
    }
    Outcome explain(const std::string &pid) const {
        return run(
            {Lab::program("tallyd"), "--config", lab_.path("tallyd.toml"), "--explain", pid});
    }
    static void wait_long(Deed &) { sleep_ms(60000); }
    // A process that is in its cgroup by now.
    static void settle() { sleep_ms(200); }

    Lab lab_;
    const std::string unit_ = "tally-explain-" + std::to_string(getpid()) + ".service";
    const std::string slice_ = cgroup2_mount() + "/system.slice/";
};

TEST_F(Explain, ATenantsProcessBesideARunningDaemon) {
    lab_.start_agent();
    TenantProcess process(unit(), wait_long);
    settle();
    Outcome page = explain(std::to_string(process.pid()));
    EXPECT_EQ(page.status, 0) << page.output;
    for (const char *line :
         {"process     ", "named by    systemd, by the path alone\n", "tenant      acme\n",
          "through     middleman\n", "by rule     lab.toml:4: ids systemd.unit=tally-explain-",
          "privacy     full"})
        EXPECT_NE(page.output.find(line), std::string::npos) << line << "\n" << page.output;
    EXPECT_NE(page.output.find("cgroup      /system.slice/" + unit_ + " (id "), std::string::npos);
    EXPECT_NE(page.output.find("systemd.unit=" + unit_ + "\n"), std::string::npos) << page.output;
    EXPECT_LE(std::count(page.output.begin(), page.output.end(), '\n'), 24);
    EXPECT_EQ(lab_.agent().stop(SIGTERM), 0) << lab_.agent().output();
}

TEST_F(Explain, AServiceOfTheHostsOwn) {
    lab_.write("tenants.d/lab.toml",
               "[[service]]\nname = \"exporter\"\nids = [\"systemd.unit=" + unit_ + "\"]\n");
    TenantProcess process(unit(), wait_long);
    settle();
    Outcome page = explain(std::to_string(process.pid()));
    EXPECT_EQ(page.status, 0) << page.output;
    for (const char *line : {"service     exporter\n", "billed to nobody\n",
                             "by rule     lab.toml:3: ids systemd.unit=tally-explain-"})
        EXPECT_NE(page.output.find(line), std::string::npos) << line << "\n" << page.output;
}

TEST_F(Explain, NobodysProcessAndWhatARuleCouldUse) {
    TenantProcess process(lab_.cgroup("stray"), wait_long);
    settle();
    Outcome page = explain(std::to_string(process.pid()));
    EXPECT_EQ(page.status, 0) << page.output;
    EXPECT_NE(page.output.find("nobody: no rule matches\n"), std::string::npos) << page.output;
    size_t hint = page.output.find("a rule could name it by /");
    ASSERT_NE(hint, std::string::npos) << page.output;
    EXPECT_NE(page.output.find("/stray\n", hint), std::string::npos) << page.output;
}

TEST_F(Explain, AtAnotherLevelItSaysWhatWouldLeave) {
    lab_.write("tallyd.toml", lab_.agent_config("[privacy]\nlevel = \"sealed\"\njoin_key = \"" +
                                                lab_.keys() + "/join.key\"\nauditor_key = \"" +
                                                lab_.keys() + "/auditor/sealing.pem\"\n"));
    TenantProcess process(unit(), wait_long);
    settle();
    Outcome page = explain(std::to_string(process.pid()));
    EXPECT_EQ(page.status, 0) << page.output;
    for (const char *line : {"tenant      acme\n", "privacy     sealed",
                             "            tenant sealed:", "            parent sealed:",
                             "            cgroup sealed:", "            systemd.unit sealed:"})
        EXPECT_NE(page.output.find(line), std::string::npos) << line << "\n" << page.output;
}

TEST_F(Explain, WhatIsNoProcessIsOneLine) {
    for (const auto &[pid, about] :
         {std::pair("4194305", "process 4194305: there is none"), std::pair("0", "a process id"),
          std::pair("-1", "a process id"), std::pair("me", "a process id"),
          std::pair("", "a process id"), std::pair("1/../2", "a process id")}) {
        Outcome refused = explain(pid);
        EXPECT_EQ(refused.status, 1) << pid << ": " << refused.output;
        EXPECT_NE(refused.output.find(about), std::string::npos) << refused.output;
        EXPECT_EQ(std::count(refused.output.begin(), refused.output.end(), '\n'), 1)
            << refused.output;
    }
    Outcome unprivileged = run({"setpriv", "--bounding-set=-all", Lab::program("tallyd"),
                                "--config", lab_.path("tallyd.toml"), "--explain", "1"});
    EXPECT_EQ(unprivileged.status, 1) << unprivileged.output;
    EXPECT_NE(unprivileged.output.find("run as root"), std::string::npos) << unprivileged.output;
}

} // namespace
} // namespace tally
