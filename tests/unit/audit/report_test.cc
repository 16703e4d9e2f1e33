// The figures: what was put into the log comes out, in each form.
#include "audit/json.h"
#include "audit/report.h"
#include "audit/show.h"
#include "base/text.h"
#include "tests/unit/audit/rig.h"

namespace tally {

namespace {

class ReportAudit : public Audit {
protected:
    // One more statement of the host, with these (tenant, parent, cgroup) workloads each holding
    // the device for so many milliseconds.
    struct Held {
        std::string tenant, parent, cgroup;
        uint64_t milliseconds;
    };
    void say_held(TestHost &host, const std::vector<Held> &rows) {
        say_changed(host, [&](pb::Statement &statement) {
            statement.clear_workloads();
            statement.clear_usage();
            for (const Held &held : rows) {
                pb::Workload &workload = *statement.add_workloads();
                workload.set_tenant(held.tenant);
                workload.set_parent(held.parent);
                workload.set_cgroup_path(held.cgroup);
                pb::Usage &usage = *statement.add_usage();
                usage.set_workload(static_cast<uint32_t>(statement.workloads_size() - 1));
                usage.set_held_ns(held.milliseconds * 1'000'000);
                usage.set_opens(held.milliseconds > 0 ? 2 : 0);
                usage.set_releases(held.milliseconds > 0 ? 2 : 0);
                usage.set_open_files(held.milliseconds > 0 ? 0 : 1);
            }
        });
    }
    void fill() {
        say_held(gpu1, {{"acme", "", "/a/1", 4500}, {"globex", "middleman", "/g", 1001}});
        say_held(gpu1, {{"acme", "", "/a/1", 2000}, {"acme", "", "/a/2", 3000}});
        say_held(gpu1, {{"", "", "/system.slice/cron \"x\", y", 250}, {"", "", "/user", 125}});
        say_held(gpu2, {{"acme", "", "/a/9", 10000}, {"idle", "", "/i", 0}});
        log.publish();
    }
    std::string shown(const std::vector<std::string> &words) const {
        auto source = Source::open(log.directory());
        auto selector = Selector::parse(words);
        if (!selector)
            return selector.error().message;
        auto page = show(*source, trust(), *selector);
        return page ? *page : page.error().message;
    }
};

TEST_F(ReportAudit, CsvSumsWhatTheStatementsSaid) {
    fill();
    EXPECT_EQ(
        report_csv(account()),
        "host,tenant,parent,device,cgroup,held_seconds,held_upper_seconds,opens,found,releases,"
        "windows\n"
        "gpu1.example,acme,,node:/dev/test0,,9.500,9.500,6,0,6,2\n"
        "gpu2.example,acme,,node:/dev/test0,,10.000,10.000,2,0,2,1\n"
        "gpu1.example,globex,middleman,node:/dev/test0,,1.001,1.001,2,0,2,1\n"
        "gpu1.example,,,node:/dev/test0,\"/system.slice/cron \"\"x\"\", y\",0.250,0.250,2,0,2,1\n"
        "gpu1.example,,,node:/dev/test0,/user,0.125,0.125,2,0,2,1\n");
}

TEST_F(ReportAudit, TheTableNamesTenantsParentsCoverageAndPrecision) {
    fill();
    std::string table = report_table(account());
    EXPECT_TRUE(table.starts_with(
        "TENANT                                  PARENT     HOST          DEVICE           "
        "    HELD  OPENS  FOUND  WINDOWS\n"
        "acme                                    -          gpu1.example  node:/dev/test0  "
        " 9.500 s      6      0        2\n"))
        << table;
    for (const char *part :
         {"unattributed /user ", "middleman", "100.00 %",
          "recorded on rung traced: opens exact, releases to one scan; longest gap",
          "between scans 1.000 s (4 attestations)\n",
          "verified: log example.com/fleet, 4 attestations; 2 findings: see `tally findings`\n"})
        EXPECT_NE(table.find(part), std::string::npos) << part << "\n" << table;
    EXPECT_EQ(table.find("idle"), std::string::npos);
    EXPECT_EQ(table.find("GPU"), std::string::npos);
}

TEST_F(ReportAudit, JsonHasTheSameFigures) {
    fill();
    std::string json = report_json(account());
    for (const char *part :
         {R"("size": 4)",
          R"("tenant": "globex", "parent": "middleman", "device": "node:/dev/test0")",
          R"("held_seconds": 1.001)", R"("cgroup": "/system.slice/cron \"x\", y")",
          R"("kind": "unattributed")", R"("longest_scan_gap_seconds": 1.000)"})
        EXPECT_NE(json.find(part), std::string::npos) << part << "\n" << json;
}

TEST_F(ReportAudit, TwoBootsAreSummedAndDevicesNamedByTheirOwnInventory) {
    say(gpu1, 2);
    gpu1.reboot();
    say_changed(gpu1, [](pb::Statement &statement) { // index 0 is another device now
        statement.mutable_inventory()->mutable_devices(0)->set_id("node:/dev/other");
    });
    say(gpu1);
    log.publish();
    EXPECT_EQ(report_csv(account()), "host,tenant,parent,device,cgroup,held_seconds,held_upper_"
                                     "seconds,opens,found,releases,windows\n"
                                     "gpu1.example,acme,,node:/dev/other,,8.000,8.000,2,0,2,2\n"
                                     "gpu1.example,acme,,node:/dev/test0,,8.000,8.000,2,0,2,2\n");
}

TEST_F(ReportAudit, NothingIsPrintedOfALogThatDoesNotVerify) {
    fill();
    Bytes bundle = read_all(path("tile/entries/000.p/4"));
    bundle.back() ^= 1;
    write_all(path("tile/entries/000.p/4"), bundle);
    for (const char *form : {"", " --csv", " --json"}) {
        EXPECT_EQ(tally("report " + log.directory() + form).status, 2);
        EXPECT_EQ(keys.read("stdout"), "");
    }
    EXPECT_EQ(tally("show " + log.directory() + " 0").status, 2);
    EXPECT_EQ(keys.read("stdout"), "");
}

TEST_F(ReportAudit, ShowFindsAnAttestationByIndexAndByHostAndSequence) {
    fill();
    std::string page = shown({"3"});
    EXPECT_EQ(page, shown({"gpu2.example", "1"}));
    pb::Statement statement = statement_in(log.entries()[3]);
    for (const std::string &part :
         {std::string("log index     3\n"), "sha256        " + to_hex(sha256(log.entries()[3])),
          "boot id       " + to_hex(view(statement.boot_id())),
          "window        " + utc_time(statement.window().begin_wall_ns()) + " to ",
          std::string("workload 0    tenant acme, cgroup /a/9 (id 0)\n"),
          std::string("usage         workload 0 on device 0 (node:/dev/test0): held 10.000 s, "
                      "opens 2, found 0, releases 2, open at the end 0\n"),
          std::string("device 0      node:/dev/test0, model stand-in, node /dev/test0 (240:0), "
                      "configured\n"),
          std::string("agent         version 0.0.0-test"), std::string("certificate   "),
          std::string("verified: log example.com/fleet, 4 attestations; this one's signature")})
        EXPECT_NE(page.find(part), std::string::npos) << part << "\n" << page;
}

TEST_F(ReportAudit, ShowSaysWhatItCannotFind) {
    fill();
    EXPECT_EQ(shown({"4"}), "the log verifies, but its 4 attestations have no log index 4");
    EXPECT_EQ(shown({"gpu1.example", "9"}),
              "the log verifies, but its 4 attestations have no host gpu1.example, sequence 9");
    EXPECT_EQ(shown({"gpu1.example"}), "show needs a log index, or a host and a sequence");
    EXPECT_EQ(tally("show " + log.directory() + " 4").status, 2);
}

TEST_F(ReportAudit, ShowEscapesWhatHostsSay) {
    say_changed(gpu1, [](pb::Statement &statement) {
        statement.mutable_workloads(0)->set_cgroup_path("/x\x1b]0;owned\x07");
        statement.mutable_workloads(0)->set_tenant("a\nb");
    });
    log.publish();
    EXPECT_NE(shown({"0"}).find("tenant a\\x0ab, cgroup /x\\x1b]0;owned\\x07 (id"),
              std::string::npos)
        << shown({"0"});
    EXPECT_NE(report_csv(account()).find(",a\\x0ab,"), std::string::npos);
}

TEST_F(ReportAudit, WrongUsageIsStatusTwo) {
    fill();
    for (const char *command : {"", "verify", "frobnicate", "verify /nonexistent",
                                "report --csv --json /tmp", "verify /dev/null", "show /tmp"})
        EXPECT_EQ(tally(command).status, 2) << command;
    EXPECT_EQ(tally("verify /nonexistent").errors,
              "tally: error: log /nonexistent: No such file or directory\n");
    EXPECT_EQ(tally("verify --help").status, 0);
}

} // namespace

} // namespace tally
