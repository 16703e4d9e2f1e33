// What sources of work evidence say, held against the holds and against each other.
#include "tests/unit/audit/rig.h"

#include <algorithm>

namespace tally {

namespace {

constexpr uint64_t kSecond = TestHost::kSecond;

class WorkAudit : public Audit {
protected:
    // Work of the statement's first workload on its first device.
    static pb::Work &add_work(pb::Statement &statement, const std::string &source,
                              uint64_t busy_ns) {
        pb::Work &work = *statement.add_work();
        work.set_source(source);
        work.set_grade(pb::GRADE_EXACT);
        work.set_workload(0);
        work.set_device(statement.usage(0).device());
        work.set_busy_ns(busy_ns);
        work.set_capacity(1);
        work.set_active_seconds(1);
        return work;
    }
    std::vector<std::string> lines() const {
        log.publish();
        return lines_of(account().findings);
    }
};

TEST_F(WorkAudit, WorkInsideAHoldIsNoFinding) {
    say_changed(gpu1, [](pb::Statement &statement) {
        add_work(statement, "drm_sched", 4 * kSecond);
        add_work(statement, "drm_fdinfo", 5 * kSecond);
    });
    EXPECT_EQ(lines(), std::vector<std::string>());
}

TEST_F(WorkAudit, SourcesThatDisagreeAreOneFindingWithBothKept) {
    for (int i = 0; i < 2; i++)
        say_changed(gpu1, [](pb::Statement &statement) {
            add_work(statement, "drm_sched", 2 * kSecond).set_engine("gfx");
            add_work(statement, "drm_sched", 1 * kSecond).set_engine("compute");
            add_work(statement, "nvml", 7 * kSecond);
        });
    auto found = lines();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_TRUE(found[0].starts_with("sources-disagree: work of ")) << found[0];
    EXPECT_TRUE(found[0].ends_with("nvml says more than drm_sched, by 8.000 s, in 2 statements"))
        << found[0];
}

TEST_F(WorkAudit, WorkOfWhoDoesNotHoldTheDeviceIsAFinding) {
    say_changed(gpu1, [](pb::Statement &statement) {
        add_work(statement, "nvml", kSecond);
        statement.clear_usage();
    });
    auto found = lines();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_TRUE(found[0].starts_with("work-without-hold: work of ")) << found[0];
}

TEST_F(WorkAudit, AServiceThatWorksIsAFindingAndOneThatOnlyLooksIsNot) {
    auto as_service = [](pb::Statement &statement) {
        statement.mutable_workloads(0)->clear_tenant();
        statement.mutable_workloads(0)->set_service("dcgm");
    };
    say_changed(gpu1, [&](pb::Statement &statement) {
        as_service(statement);
        pb::Work &looks = add_work(statement, "nvml", 0);
        looks.set_memory_bytes(1 << 20);
        pb::Count &copies = *looks.add_counts();
        copies.set_what("copies");
        copies.set_count(3);
    });
    EXPECT_EQ(lines(), std::vector<std::string>());
    say_changed(gpu1, [&](pb::Statement &statement) {
        as_service(statement);
        add_work(statement, "nvml", kSecond);
    });
    auto found = lines();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_TRUE(found[0].starts_with("service-at-work: service dcgm (")) << found[0];
}

TEST_F(WorkAudit, WorkJustAfterAHoldIsNoFinding) {
    say(gpu1);
    for (int i = 0; i < 2; i++)
        say_changed(gpu1, [](pb::Statement &statement) {
            add_work(statement, "nvml", kSecond);
            statement.clear_usage();
        });
    auto found = lines();
    ASSERT_EQ(found.size(), 1U) << "in the second window after it, it is";
    EXPECT_EQ(found[0].find("in 2 statements"), std::string::npos) << found[0];
}

TEST_F(WorkAudit, ADeviceAsAWholeAndWorkOnNoDeviceAreNotJudged) {
    say_changed(gpu1, [](pb::Statement &statement) {
        add_work(statement, "interrupts", kSecond).clear_workload();
        add_work(statement, "cuda_uprobe", kSecond).clear_device();
        statement.clear_usage();
    });
    EXPECT_EQ(lines(), std::vector<std::string>());
}

TEST_F(WorkAudit, AReportShowsEachSourceWithItsGradeAndWhatCanHaveBeenComputed) {
    say_changed(gpu1, [](pb::Statement &statement) {
        statement.mutable_inventory()->mutable_devices(0)->set_pci_id("10de:2330"); // H100 SXM5
        add_work(statement, "drm_sched", 2 * kSecond).set_engine("gfx");
        pb::Work &asked = add_work(statement, "cuda_uprobe", 0);
        asked.clear_busy_ns();
        asked.set_grade(pb::GRADE_ABLE);
        asked.add_counts()->set_what("launches");
        asked.mutable_counts(0)->set_count(12);
        pb::Work &all = add_work(statement, "interrupts", 0);
        all.clear_workload();
        all.clear_busy_ns();
    });
    say_changed(gpu1, [](pb::Statement &statement) { add_work(statement, "drm_sched", kSecond); });
    say(gpu2);
    log.publish();
    Outcome csv = tally("report " + log.directory() + " --work --csv --by tenant,host");
    // 8 s at 1978.9 TOPS of 8 bits; the other host's device is in no table.
    EXPECT_EQ(csv.output, "host,tenant,held_seconds,held_upper_seconds,compute_upper_operations,"
                          "source,grade,busy_seconds,active_seconds,counts\n"
                          "gpu1.example,,0.000,0.000,0,interrupts,exact,,1,\n"
                          "gpu1.example,acme,8.000,8.000,1.58e+16,cuda_uprobe,able,,1,12 launches\n"
                          "gpu1.example,acme,8.000,8.000,1.58e+16,drm_sched,exact,3.000,2,\n"
                          "gpu2.example,acme,4.000,4.000,,,held,,,\n");
    Outcome table = tally("report " + log.directory() + " --work");
    EXPECT_NE(table.output.find("OPERATIONS AT MOST"), std::string::npos) << table.output;
    EXPECT_NE(table.output.find("12 launches"), std::string::npos) << table.output;
    Outcome one = tally("report " + log.directory() + " --work --csv --by host --tenant nobody");
    EXPECT_EQ(std::count(one.output.begin(), one.output.end(), '\n'), 1) << one.output;
}

} // namespace
} // namespace tally
