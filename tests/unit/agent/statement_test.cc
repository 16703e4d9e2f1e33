// Statements are functions of snapshots: made here from plain values, held to the rules of
// evidence.
#include "agent/statement/statement.h"
#include "attest/dsse.h"
#include "tests/unit/agent/completed.h"

#include <gtest/gtest.h>

namespace tally {
namespace {

class Windows : public testing::Test {
protected:
    std::vector<pb::Statement> make(bool introduce = false) {
        Introduction introduction{devices_, hooks_, agent_, certificate_};
        return make_statements({before_.at,
                                1,
                                before_,
                                after_,
                                pb::RUNG_TRACED,
                                events_,
                                introduce ? &introduction : nullptr,
                                untracked_,
                                work_,
                                {}},
                               [](uint64_t id) {
                                   Workload workload;
                                   workload.cgroup_path = "/tenants/" + std::to_string(id);
                                   workload.tenant.name = id == 7 ? "acme" : "";
                                   return to_message(id, workload, /*brief=*/true);
                               });
    }

    Snapshot before_{.at = {10 * kSecond, 1000 * kSecond}};
    Snapshot after_{.at = {20 * kSecond, 1010 * kSecond}};
    std::map<uint32_t, Device> devices_{{0, {.id = "pci:a"}}};
    std::vector<HookState> hooks_{{"scan", true, "", "0011223344556677"}};
    pb::Agent agent_;
    Bytes certificate_{1, 2, 3};
    std::vector<pb::Event> events_;
    std::set<UsageKey> untracked_;
    std::vector<SourcedWork> work_;
};

TEST_F(Windows, AnIdleWindowHasNoRows) {
    auto statements = make();
    ASSERT_EQ(statements.size(), 1U);
    EXPECT_EQ(statements[0].usage_size(), 0);
    EXPECT_FALSE(statements[0].has_inventory());
    EXPECT_EQ(statements[0].window().begin_boottime_ns(), 10 * kSecond);
    EXPECT_EQ(statements[0].window().end_wall_ns(), 1010 * kSecond);
    EXPECT_EQ(breach_of(statements[0]), "");
}

TEST_F(Windows, WhatMayStillBeHeldWithoutRoomHasARowThoughNothingWasCounted) {
    before_.usage[{7, 0}] = after_.usage[{7, 0}] = {3 * kSecond, 5, 1, 6, 0, 2};
    before_.usage[{8, 0}] = after_.usage[{8, 0}] = {3 * kSecond, 5, 1, 6, 0, 2};
    untracked_.insert({7, 0});
    auto statements = make();
    ASSERT_EQ(statements[0].usage_size(), 1);
    EXPECT_EQ(statements[0].usage(0).held_ns(), 0U);
    EXPECT_EQ(statements[0].usage(0).untracked(), 0U);
    EXPECT_TRUE(statements[0].usage(0).was_untracked());
    EXPECT_EQ(breach_of(statements[0]), "");
}

TEST_F(Windows, RowsAreDifferencesOfTotals) {
    before_.usage[{7, 0}] = {3 * kSecond, 5, 1, 4, 2};
    after_.usage[{7, 0}] = {11 * kSecond, 9, 1, 9, 1};
    after_.usage[{8, 0}] = {kSecond, 1, 0, 1, 0}; // new in this window
    auto statements = make();
    ASSERT_EQ(statements[0].usage_size(), 2);
    const pb::Usage &row = statements[0].usage(0);
    EXPECT_EQ(row.held_ns(), 8 * kSecond);
    EXPECT_EQ(row.opens(), 4U);
    EXPECT_EQ(row.found(), 0U);
    EXPECT_EQ(row.releases(), 5U);
    EXPECT_EQ(row.open_files(), 1U);
    EXPECT_EQ(statements[0].workloads(0).tenant(), "acme");
    EXPECT_EQ(statements[0].workloads(1).cgroup_path(), "/tenants/8");
    EXPECT_EQ(breach_of(statements[0]), "");
}

TEST_F(Windows, WhoeverHeldADeviceIsARowOfItsOwn) {
    before_.usage[{kAnybody, 0}] = {3 * kSecond, 0, 5, 4, 1, 0, kSecond};
    after_.usage[{kAnybody, 0}] = {12 * kSecond, 0, 6, 5, 1, 0, 3 * kSecond};
    after_.usage[{7, 0}] = {9 * kSecond, 1, 0, 1, 0};
    before_.reading_ns = 5;
    after_.tells_occupancy = true;
    auto statements = make();
    ASSERT_EQ(statements[0].usage_size(), 1);
    ASSERT_EQ(statements[0].workloads_size(), 1);
    ASSERT_EQ(statements[0].occupancy_size(), 1);
    EXPECT_EQ(statements[0].occupancy(0).occupied_ns(), 9 * kSecond);
    EXPECT_EQ(statements[0].occupancy(0).late_ns(), 2 * kSecond);
    EXPECT_TRUE(statements[0].recording().tells_occupancy());
    EXPECT_EQ(statements[0].recording().begin_reading_ns(), 5U);
    EXPECT_EQ(breach_of(statements[0]), "");

    before_.usage[{kAnybody, 0}] = after_.usage[{kAnybody, 0}]; // idle: no row
    after_.usage[{kAnybody, 0}].open_files = before_.usage[{kAnybody, 0}].open_files = 0;
    EXPECT_EQ(make()[0].occupancy_size(), 0);
}

// What another version's maps counted.
TEST_F(Windows, OccupancyThatWasNotMeasuredIsNotTold) {
    after_.usage[{kAnybody, 0}] = {9 * kSecond, 0, 1, 1, 0};
    after_.usage[{7, 0}] = {9 * kSecond, 1, 0, 1, 0};
    auto statements = make();
    EXPECT_EQ(statements[0].occupancy_size(), 0);
    EXPECT_FALSE(statements[0].recording().tells_occupancy());
    EXPECT_EQ(breach_of(statements[0]), "");
}

TEST_F(Windows, AQuietWorkloadIsLeftOutAndALongHoldIsNot) {
    before_.usage[{7, 0}] = after_.usage[{7, 0}] = {3 * kSecond, 5, 1, 6, 0};
    before_.usage[{8, 0}] = {3 * kSecond, 1, 0, 0, 1};
    after_.usage[{8, 0}] = {13 * kSecond, 1, 0, 0, 1};
    auto statements = make();
    ASSERT_EQ(statements[0].usage_size(), 1);
    EXPECT_EQ(statements[0].usage(0).held_ns(), 10 * kSecond);
    EXPECT_EQ(breach_of(statements[0]), "");
}

TEST_F(Windows, LossesAreOfTheWindow) {
    before_.losses["usage map full"] = 3;
    after_.losses["usage map full"] = 5;
    before_.losses["edge ring full"] = after_.losses["edge ring full"] = 9;
    auto statements = make();
    ASSERT_EQ(statements[0].recording().losses_size(), 1);
    EXPECT_EQ(statements[0].recording().losses(0).place(), "usage map full");
    EXPECT_EQ(statements[0].recording().losses(0).count(), 2U);
}

TEST_F(Windows, AnIntroductionBringsInventoryHooksAndCertificate) {
    auto statements = make(true);
    EXPECT_EQ(statements[0].inventory().devices(0).id(), "pci:a");
    EXPECT_EQ(statements[0].recording().hooks(0).tag(), "0011223344556677");
    EXPECT_EQ(statements[0].certificate(), std::string("\1\2\3"));
}

TEST_F(Windows, AFullWindowIsSplitIntoPartsThatAllFit) {
    constexpr uint64_t kWorkloads = 5000;
    for (uint64_t id = 1; id <= kWorkloads; id++)
        after_.usage[{id, 0}] = {kSecond, 1, 0, 1, 0};
    after_.losses["edge ring full"] = 1;
    auto statements = make(true);
    ASSERT_GT(statements.size(), 1U);
    uint64_t rows = 0;
    int losses = 0;
    for (size_t part = 0; part < statements.size(); part++) {
        EXPECT_EQ(statements[part].part(), part);
        EXPECT_EQ(statements[part].parts(), statements.size());
        EXPECT_EQ(statements[part].window().end_boottime_ns(), 20 * kSecond);
        EXPECT_LT(statements[part].ByteSizeLong(), kMaxAttestation - 1024);
        EXPECT_EQ(breach_of(statements[part]), "");
        rows += static_cast<uint64_t>(statements[part].usage_size());
        losses += statements[part].recording().losses_size();
    }
    EXPECT_EQ(rows, kWorkloads);
    EXPECT_EQ(losses, 1); // said once, not once a part
}

} // namespace
} // namespace tally
