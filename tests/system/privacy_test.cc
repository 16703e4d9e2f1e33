// What leaves a host, at each level of privacy, from the device's opening to the auditor's page:
// the bytes of the collector's whole directory are searched for names.
#include "tests/system/lab.h"

#include "base/durable.h"

#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

namespace tally {
namespace {

namespace fs = std::filesystem;

constexpr const char *kDevice = "[[device]]\nname = \"stand-in\"\nnode = \"/dev/full\"\n";
constexpr const char *kTenant = "acme-industries";
constexpr const char *kParent = "middleman-gmbh";
constexpr const char *kNobody = "nobodys-corner";
constexpr const char *kExecutable = "odd-miner-7f";
constexpr unsigned kUser = 4242;

// A tenant, and somebody for whom nobody answers, recorded at one level; the tenant also signals
// the agent, so that there is an event with a name in it.
class Recorded {
public:
    explicit Recorded(const std::string &level, const std::string &rung = "") {
        lab_.write("tenants.d/lab.toml", "[[tenant]]\nname = \"" + std::string(kTenant) +
                                             "\"\nparent = \"" + kParent + "\"\ncgroups = [\"/*/" +
                                             kTenant + "\"]\n");
        lab_.write("tallyd.toml",
                   lab_.agent_config("[privacy]\nlevel = \"" + level + "\"\njoin_key = \"" +
                                     lab_.keys() + "/join.key\"\nauditor_key = \"" + lab_.keys() +
                                     "/auditor/sealing.pem\"\n" + kDevice));
        lab_.start_collector();
        lab_.start_agent(rung.empty() ? std::vector<std::string>()
                                      : std::vector<std::string>{"--hooks=" + rung});
        hold();
        sleep_ms(1500);
        EXPECT_TRUE(lab_.agent().says("connected")) << lab_.agent().output();
        lab_.stop_all();
    }
    const Lab &lab() const { return lab_; }
    std::string key(const char *name) const { return lab_.keys() + "/" + name; }

    // tally's words on the log, with the auditor's key or without.
    std::string told(std::vector<std::string> command, bool unseal = false) const {
        command.insert(command.begin() + 1, lab_.log());
        if (unseal)
            command.insert(command.end(),
                           {"--unseal", key("auditor/sealing.key"), "--join-key", key("join.key")});
        Outcome outcome = lab_.tally(command);
        EXPECT_LE(outcome.status, 1) << outcome.output;
        return outcome.output;
    }
    // Whether it is anywhere in what the collector has: log and index.
    bool left_the_host(const std::string &name) const {
        for (const auto &entry : fs::recursive_directory_iterator(lab_.path("collector"))) {
            if (!entry.is_regular_file())
                continue;
            auto bytes = read_file(entry.path().string());
            EXPECT_TRUE(bytes);
            if (bytes && text(*bytes).find(name) != std::string_view::npos)
                return true;
        }
        return false;
    }

private:
    // By a copy of the shell under a name of its own, which opens the device itself.
    void hold() {
        std::string copy = lab_.path(kExecutable);
        fs::copy_file("/bin/dash", copy);
        chmod(lab_.path(".").c_str(), 0711);
        pid_t agent = lab_.agent().pid();
        TenantProcess tenant(lab_.cgroup(kTenant), [agent](Deed &deed) {
            int fd = open("/dev/full", O_RDONLY);
            deed.opens = fd >= 0 ? 1 : 0;
            kill(agent, SIGSTOP);
            kill(agent, SIGCONT);
            sleep_ms(2200);
            close(fd);
        });
        TenantProcess nobody(lab_.cgroup(kNobody), [copy](Deed &) {
            std::string user = "--reuid=" + std::to_string(kUser);
            execlp("setpriv", "setpriv", user.c_str(), "--clear-groups", copy.c_str(), "-c",
                   "exec 3</dev/full; sleep 2.2 3<&-", nullptr);
        });
        tenant.join();
        EXPECT_EQ(tenant.deed().opens, 1U);
        nobody.join();
    }

    Lab lab_;
};

// The figures of each row, without its names.
std::multiset<std::string> figures(const std::string &csv) {
    std::multiset<std::string> rows;
    std::string_view rest = csv;
    while (!rest.empty()) {
        std::string line(take_until(rest, '\n'));
        size_t at = line.size();
        for (int cells = 0; cells < 6 && at != std::string::npos; cells++)
            at = at == 0 ? std::string::npos : line.rfind(',', at - 1);
        if (at != std::string::npos)
            rows.insert(line.substr(at));
    }
    return rows;
}

TEST(Opener, IsNamedOnEveryRung) {
    for (const std::string &rung : rungs()) {
        Recorded recorded("full", rung);
        struct stat file = {};
        ASSERT_EQ(stat(recorded.lab().path(kExecutable).c_str(), &file), 0);
        std::string said = std::string("opened first by ") + kExecutable + " (user " +
                           std::to_string(kUser) + ", file ";
        std::string findings = recorded.told({"findings", "--csv"});
        size_t at = findings.find(said);
        ASSERT_NE(at, std::string::npos) << rung << ": " << findings;
        EXPECT_NE(findings.find("/" + std::to_string(file.st_ino) + ")", at), std::string::npos)
            << file.st_ino << ": " << findings;
        bool shown = false;
        for (int index = 0; index < 6 && !shown; index++) {
            Outcome page =
                recorded.lab().tally({"show", recorded.lab().log(), std::to_string(index)});
            shown = page.output.find(said) != std::string::npos;
        }
        EXPECT_TRUE(shown) << rung;
    }
}

TEST(Privacy, AtFullEverythingLeaves) {
    Recorded recorded("full");
    for (const char *name : {kTenant, kParent, kNobody, kExecutable})
        EXPECT_TRUE(recorded.left_the_host(name)) << name; // so that the searches below can fail
    std::string findings = recorded.told({"findings"});
    EXPECT_NE(findings.find("SIGSTOP from pid"), std::string::npos) << findings;
}

TEST(Privacy, SealedNamesAreTheAuditorsAlone) {
    Recorded recorded("sealed");
    for (const char *name : {kTenant, kParent, kNobody, kExecutable, "lab.toml", "SIGSTOP"})
        EXPECT_FALSE(recorded.left_the_host(name)) << name;

    std::string blind = recorded.told({"report", "--csv"});
    std::string open = recorded.told({"report", "--csv"}, true);
    EXPECT_EQ(blind.find(kTenant), std::string::npos);
    EXPECT_NE(blind.find("sealed:"), std::string::npos) << blind;
    EXPECT_EQ(open.find("sealed:"), std::string::npos) << open;
    for (const char *name : {kTenant, kParent, kNobody})
        EXPECT_NE(open.find(name), std::string::npos) << open;
    EXPECT_EQ(figures(blind), figures(open));
    EXPECT_GE(figures(open).size(), 3U);
    EXPECT_NE(recorded.told({"report", "--tenant", kTenant}, true).find(kTenant),
              std::string::npos);

    std::string findings = recorded.told({"findings", "--csv"}, true);
    EXPECT_NE(findings.find(std::string("opened first by ") + kExecutable), std::string::npos)
        << findings;
    EXPECT_NE(findings.find("SIGSTOP from pid"), std::string::npos) << findings;
    EXPECT_EQ(findings.find("\nsealed,"), std::string::npos) << findings;
    findings = recorded.told({"findings", "--csv"});
    EXPECT_NE(findings.find("agent signalled: sealed:"), std::string::npos) << findings;
}

TEST(Privacy, WhatDoesNotOpenOrLiesIsSaid) {
    Recorded recorded("sealed");
    Outcome made = run({Lab::program("tally"), "keys", recorded.lab().path("other"), "--host",
                        Lab::kHost, "--collector", "localhost"});
    ASSERT_EQ(made.status, 0) << made.output;
    std::string other = recorded.lab().path("other");
    std::string stranger = recorded.told({"report", "--unseal", other + "/auditor/sealing.key"});
    EXPECT_EQ(stranger.find(kTenant), std::string::npos) << stranger;
    EXPECT_NE(stranger.find("are sealed to another key"), std::string::npos) << stranger;

    std::string doubted =
        recorded.told({"findings", "--csv", "--unseal", recorded.key("auditor/sealing.key"),
                       "--join-key", other + "/join.key"});
    EXPECT_NE(doubted.find("\nsealed,"), std::string::npos) << doubted;
    EXPECT_NE(doubted.find("another token: not believed"), std::string::npos) << doubted;

    Outcome refused = recorded.lab().tally(
        {"report", recorded.lab().log(), "--unseal", recorded.key("auditor/sealing.pem")});
    EXPECT_EQ(refused.status, 2);
    EXPECT_NE(refused.output.find("not an unencrypted PEM private key"), std::string::npos)
        << refused.output;
}

TEST(Privacy, AtMinimalSumsCanBeMadeAndNothingElse) {
    Recorded recorded("minimal");
    for (const char *name : {kTenant, kParent, kNobody, kExecutable, "lab.toml", "SIGSTOP"})
        EXPECT_FALSE(recorded.left_the_host(name)) << name;
    std::string report = recorded.told({"report", "--by", "tenant,parent", "--csv"});
    EXPECT_NE(report.find("sealed:"), std::string::npos) << report;
    EXPECT_EQ(figures(report).size(), 3U) << report; // a title, the tenant, and nobody
    std::string findings = recorded.told({"findings", "--csv"}, true);
    EXPECT_NE(findings.find("agent signalled: withheld"), std::string::npos) << findings;
    EXPECT_EQ(findings.find("sealed,"), std::string::npos) << findings;
}

TEST(Privacy, KeysThatAreMissingOrWrongAreRefusedAtOnce) {
    Lab lab;
    auto refused = [&](const std::string &privacy, const std::string &about) {
        lab.write("bad.toml", lab.agent_config("[privacy]\n" + privacy + kDevice));
        Outcome outcome =
            run({Lab::program("tallyd"), "--config", lab.path("bad.toml"), "--check-config"});
        EXPECT_EQ(outcome.status, 2) << outcome.output;
        EXPECT_NE(outcome.output.find(about), std::string::npos) << outcome.output;
        EXPECT_EQ(std::count(outcome.output.begin(), outcome.output.end(), '\n'), 1)
            << outcome.output;
    };
    lab.write("short.key", "abcdef\n");
    std::string join = "join_key = \"" + lab.keys() + "/join.key\"\n";
    std::string auditor = "auditor_key = \"" + lab.keys() + "/auditor/sealing.";
    refused("level = \"secret\"\n", "must be full, sealed or minimal");
    refused("level = \"sealed\"\n", "needs join_key");
    refused("level = \"minimal\"\n", "needs join_key");
    refused("level = \"sealed\"\n" + join, "needs auditor_key");
    refused("level = \"sealed\"\n" + join + auditor + "key\"\n", "a private key");
    refused("level = \"sealed\"\njoin_key = \"" + lab.path("short.key") + "\"\n" + auditor +
                "pem\"\n",
            "not a join key");
    refused("level = \"sealed\"\njoin_key = \"/absent\"\n" + auditor + "pem\"\n", "/absent");
    refused("level = \"full\"\nkey = \"x\"\n", "unknown key");
}

TEST(Privacy, TheDaemonPrintsWhatLeavesAtTheLevelInForce) {
    Lab lab;
    lab.write("tallyd.toml", lab.agent_config("[privacy]\nlevel = \"minimal\"\njoin_key = \"" +
                                              lab.keys() + "/join.key\"\n" + kDevice));
    Outcome page = run({"setpriv", "--bounding-set=-all", Lab::program("tallyd"), "--config",
                        lab.path("tallyd.toml"), "--print-disclosure"});
    EXPECT_EQ(page.status, 0) << page.output;
    EXPECT_NE(page.output.find("minimal (in force)"), std::string::npos) << page.output;
}

} // namespace
} // namespace tally
