// What tenants do with a device, against what the log says they did: real processes in real
// cgroups, real BPF on this kernel, through agent, TLS, collector and the auditor's report.
//
// One fleet per rung records all tenants at once; each test then looks at its own.
#include "tests/system/tenants.h"

#include <gtest/gtest.h>

namespace tally {
namespace {

constexpr double kScan = 1.1; // seconds: one scan, and a little
constexpr double kWindow = 1.1;
constexpr double kAtOnce = 0.1; // an edge that is seen as it happens, by a busy machine

class Holds : public testing::TestWithParam<std::string> {
protected:
    static void TearDownTestSuite() { recorded_.clear(); }

    RecordedTenants &recorded() {
        auto &one = recorded_[GetParam()];
        if (!one)
            one = std::make_unique<RecordedTenants>(GetParam());
        return *one;
    }
    static bool exact() { return GetParam() != "traced" && GetParam() != "scanned"; }
    static double tolerance() { return exact() ? kAtOnce : kScan; }

    // Each edge lies between the tenant's readings of the clock just before and just after the
    // call, where it took both.
    void expect_held(const std::string &name, uint64_t before_ns, uint64_t begin_ns,
                     double tolerance) {
        const Deed &deed = recorded().deed(name);
        uint64_t after_ns = deed.after_ns > 0 ? deed.after_ns : deed.end_ns;
        ASSERT_TRUE(recorded().rows().contains(name)) << "no row for " << name;
        double attested = std::stod(recorded().rows().at(name).at("held_seconds"));
        EXPECT_GE(attested, static_cast<double>(deed.end_ns - begin_ns) / 1e9 - tolerance);
        EXPECT_LE(attested, static_cast<double>(after_ns - before_ns) / 1e9 + tolerance);
    }
    void expect_held(const std::string &name) {
        const Deed &deed = recorded().deed(name);
        uint64_t before_ns = deed.before_ns > 0 ? deed.before_ns : deed.begin_ns;
        expect_held(name, before_ns, deed.begin_ns, tolerance());
    }
    // A file that came into the workload by something other than an open.
    void expect_found(const std::string &name) {
        expect_held(name);
        EXPECT_EQ(recorded().rows().at(name).at("opens"), "0");
        EXPECT_EQ(recorded().rows().at(name).at("found"), "1");
    }

    void expect_opens(const std::string &name) {
        if (GetParam() == "scanned")
            return; // scans see files, not opens
        ASSERT_TRUE(recorded().rows().contains(name)) << "no row for " << name;
        EXPECT_EQ(std::stoull(recorded().rows().at(name).at("opens")), recorded().deed(name).opens);
    }

    static inline std::map<std::string, std::unique_ptr<RecordedTenants>> recorded_;
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
    expect_found("receiving");
}

TEST_P(Holds, AFileTakenByPidfdBeginsTheTakersHold) {
    expect_held("taken-from");
    expect_opens("taken-from");
    expect_found("taking");
}

TEST_P(Holds, AChildBornInAnotherCgroupBeginsItsHold) {
    expect_held("begetting");
    expect_opens("begetting");
    expect_found("begotten");
}

TEST_P(Holds, MigrationMovesTheHold) {
    expect_held("leaving");
    expect_opens("leaving");
    expect_found("arriving");
}

TEST_P(Holds, ANodeThatAppearsLaterIsRecordedFromTheNextWindow) {
    uint64_t begun = recorded().deed("awaiting").begin_ns;
    expect_held("awaiting", begun, begun, kWindow + kScan);
    EXPECT_EQ(recorded().rows().at("awaiting").at("device"), "node:later");
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
    uint64_t started = recorded().agent_started();
    expect_held("early", started, started, kScan);
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

INSTANTIATE_TEST_SUITE_P(Rungs, Holds, testing::ValuesIn(rungs()),
                         [](const auto &info) { return info.param; });

} // namespace
} // namespace tally
