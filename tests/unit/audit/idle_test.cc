// Where the devices' time went: every row adds up, whatever was held, told or left out.
#include "audit/idle.h"
#include "audit/json.h"
#include "audit/report.h"
#include "tests/unit/audit/rig.h"

namespace tally {

namespace {

constexpr uint64_t kSecond = TestHost::kSecond;
constexpr uint64_t kMs = 1'000'000;

class IdleAudit : public Audit {
protected:
    struct Held {
        std::string tenant;
        uint64_t ns;
        uint32_t device = 0;
    };
    static void set_rows(pb::Statement &statement, const std::vector<Held> &rows) {
        statement.clear_workloads();
        statement.clear_usage();
        for (const Held &held : rows) {
            pb::Workload &workload = *statement.add_workloads();
            workload.set_tenant(held.tenant);
            workload.set_cgroup_id(static_cast<uint64_t>(statement.workloads_size()));
            pb::Usage &usage = *statement.add_usage();
            usage.set_device(held.device);
            usage.set_workload(static_cast<uint32_t>(statement.workloads_size() - 1));
            usage.set_held_ns(held.ns);
            usage.set_opens(1);
        }
    }
    static void occupy(pb::Statement &statement, uint64_t ns, uint32_t device = 0) {
        pb::Occupancy &row = *statement.add_occupancy();
        row.set_device(device);
        row.set_occupied_ns(ns);
    }
    static void add_device(pb::Statement &statement) {
        if (!statement.has_inventory())
            return;
        pb::Device &device = *statement.mutable_inventory()->add_devices();
        device.set_index(1);
        device.set_id("node:/dev/test1");
    }
    // A window of ten seconds on two devices: one held by two at once, the other by nobody.
    void say_overlap() {
        say_changed(gpu1, [](pb::Statement &statement) {
            add_device(statement);
            set_rows(statement, {{"acme", 6 * kSecond}, {"", 5 * kSecond}});
            occupy(statement, 8 * kSecond);
        });
    }
    Account devices(std::set<By> by = {}, Question question = {}) const {
        log.publish();
        UsageSums usage(std::move(question), std::move(by));
        usage.account_for_devices();
        return account(std::move(usage));
    }
    std::string csv(std::set<By> by = {By::kDevice}, Question question = {}) const {
        Account taken = devices(std::move(by), std::move(question));
        EXPECT_TRUE(taken.usage.device_times());
        for (const auto &[key, times] : taken.usage.device_times()->rows()) {
            EXPECT_EQ(times.held_ns() + times.idle_ns + times.not_told_ns - times.overlap_ns,
                      times.covered_ns);
        }
        std::string csv = idle_csv(*taken.usage.device_times());
        return csv.substr(csv.find('\n') + 1);
    }
};

TEST_F(IdleAudit, EveryDevicesTimeAddsUp) {
    say_overlap();
    EXPECT_EQ(csv(), "node:/dev/test0,10.000,6.000,0.000,5.000,3.000,2.000,0.000,false\n"
                     "node:/dev/test1,10.000,0.000,0.000,0.000,0.000,10.000,0.000,false\n");
}

TEST_F(IdleAudit, ByModelHostDayOrNothing) {
    say_overlap();
    say(gpu2);
    EXPECT_EQ(csv({By::kModel}), ",10.000,0.000,0.000,0.000,0.000,10.000,0.000,false\n"
                                 "stand-in,20.000,10.000,0.000,5.000,3.000,8.000,0.000,false\n");
    EXPECT_EQ(csv({By::kHost}), "gpu1.example,20.000,6.000,0.000,5.000,3.000,12.000,0.000,false\n"
                                "gpu2.example,10.000,4.000,0.000,0.000,0.000,6.000,0.000,false\n");
    EXPECT_EQ(csv({By::kTenant}), "30.000,10.000,0.000,5.000,3.000,18.000,0.000,false\n");
    Question question;
    question.host = "gpu2.example";
    EXPECT_EQ(csv({By::kHost}, question),
              "gpu2.example,10.000,4.000,0.000,0.000,0.000,6.000,0.000,false\n");
    question = {};
    question.device = "node:/dev/test1";
    EXPECT_EQ(csv({By::kDevice}, question),
              "node:/dev/test1,10.000,0.000,0.000,0.000,0.000,10.000,0.000,false\n");
}

TEST_F(IdleAudit, RoundedFiguresAddUpToTheDigit) {
    for (uint64_t i = 0; i < 5; i++) {
        say_changed(gpu1, [&](pb::Statement &statement) {
            set_rows(statement, {{"acme", 2 * kSecond + 333'333 + i}, {"b", kSecond + 444'444}});
            occupy(statement, 2 * kSecond + 600'001);
        });
    }
    EXPECT_EQ(csv(), "node:/dev/test0,50.000,15.004,0.000,0.000,5.001,39.997,0.000,false\n");
}

TEST_F(IdleAudit, AWindowInPartsCountsOnce) {
    say_changed(gpu1, [](pb::Statement &statement) {
        add_device(statement);
        statement.set_parts(2);
        set_rows(statement, {{"acme", 6 * kSecond}});
        occupy(statement, 8 * kSecond);
    });
    pb::Statement second = statement_in(log.entries().back());
    second.clear_inventory();
    second.clear_certificate();
    second.clear_occupancy();
    second.set_sequence(2);
    second.set_part(1);
    second.set_previous(gpu1.digest().data(), gpu1.digest().size());
    set_rows(second, {{"", 5 * kSecond}});
    occupy(second, 0, 1);
    log.append(gpu1.attest(second));
    EXPECT_EQ(csv(), "node:/dev/test0,10.000,6.000,0.000,5.000,3.000,2.000,0.000,false\n"
                     "node:/dev/test1,10.000,0.000,0.000,0.000,0.000,10.000,0.000,false\n");
    EXPECT_EQ(lines_of(devices().findings).size(), 1U); // unattributed
}

// An agent before occupancy was measured: one holder's time is its device's, several's may overlap.
TEST_F(IdleAudit, WhereOccupancyIsNotToldWhatFollowsFromTheRowsIsStillSaid) {
    for (const auto &rows : std::vector<std::vector<Held>>{
             {}, {{"acme", 4 * kSecond}}, {{"acme", 6 * kSecond}, {"", 5 * kSecond}}}) {
        say_changed(gpu1, [&](pb::Statement &statement) {
            statement.mutable_recording()->clear_tells_occupancy();
            set_rows(statement, rows);
        });
    }
    EXPECT_EQ(csv(), "node:/dev/test0,30.000,10.000,0.000,5.000,5.000,16.000,4.000,false\n");
    Account taken = devices();
    std::string table = idle_table(*taken.usage.device_times());
    EXPECT_NE(table.find("NOT TOLD"), std::string::npos) << table;
    EXPECT_EQ(lines_of(taken.findings).size(), 1U); // unattributed
}

TEST_F(IdleAudit, FilesWithoutRoomMakeIdleAnUpperBound) {
    say_changed(gpu1,
                [](pb::Statement &statement) { statement.mutable_usage(0)->set_untracked(1); });
    EXPECT_EQ(csv(), "node:/dev/test0,10.000,4.000,0.000,0.000,0.000,6.000,0.000,true\n");
    Account taken = devices();
    EXPECT_NE(idle_table(*taken.usage.device_times()).find("at most 6.000 s"), std::string::npos);
}

TEST_F(IdleAudit, PausedTimeIsNotCovered) {
    say(gpu1);
    say_changed(gpu1, [](pb::Statement &statement) {
        statement.mutable_recording()->set_since_boottime_ns(
            statement.window().begin_boottime_ns() + 500 * kMs);
    });
    EXPECT_EQ(csv(), "node:/dev/test0,19.500,8.000,0.000,0.000,0.000,11.500,0.000,false\n");
}

TEST_F(IdleAudit, ASecondHistoryCountsNothing) {
    say(gpu1, 2);
    TestHost clone = keys.host("gpu1.example");
    say(clone, 2);
    EXPECT_EQ(csv(), "node:/dev/test0,20.000,8.000,0.000,0.000,0.000,12.000,0.000,false\n");
}

TEST_F(IdleAudit, TheReportClosesWithIt) {
    say_overlap();
    Account taken = devices();
    std::string table = report_table(taken);
    for (const char *part :
         {"\nHOST          DEVICE            COVERED  TENANTS  UNATTRIBUTED  OVERLAP      IDLE\n",
          "\ngpu1.example  node:/dev/test0  10.000 s  6.000 s       5.000 s  3.000 s   2.000 s\n",
          "\ngpu1.example  node:/dev/test1  10.000 s  0.000 s       0.000 s  0.000 s  10.000 s\n",
          "\nall                            20.000 s  6.000 s       5.000 s  3.000 s  12.000 s\n",
          "\ncovered = tenants + unattributed - overlap (several at once) + idle\n"})
        EXPECT_NE(table.find(part), std::string::npos) << part << "\n" << table;
    EXPECT_NE(report_json(taken).find(
                  R"("device": "node:/dev/test0", "model": "", "covered_seconds": 10.000, )"
                  R"("tenant_seconds": 6.000, "service_seconds": 0.000, )"
                  R"("unattributed_seconds": 5.000, )"
                  R"("overlap_seconds": 3.000, "idle_seconds": 2.000, "not_told_seconds": 0.000, )"
                  R"("idle_is_upper_bound": false)"),
              std::string::npos)
        << report_json(taken);
}

TEST_F(IdleAudit, OfATenantThereIsNone) {
    say_overlap();
    log.publish();
    EXPECT_EQ(tally("report " + log.directory() + " --idle --csv").status, 1); // unattributed
    EXPECT_TRUE(keys.read("stdout").starts_with("host,device,covered_seconds,"));
    for (const char *wrong : {" --idle --tenant acme", " --idle --parent x", " --idle --by tenant",
                              " --idle --work", " --idle --json"})
        EXPECT_EQ(tally("report " + log.directory() + wrong).status, 2) << wrong;
    Question question;
    question.tenant = "acme";
    EXPECT_FALSE(devices({}, question).usage.device_times());
}

} // namespace

} // namespace tally
