// Two tenants with one device, now one after the other, now both at once: how long anybody had it
// is the union of what they did, and the auditor's sums close.
#include "tests/system/attested.h"
#include "tests/system/lab.h"
#include "tests/system/storm/spans.h"

#include <csignal>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <memory>
#include <sstream>
#include <unistd.h>

namespace tally {
namespace {

constexpr const char *kDevice = "node:stand-in";
constexpr double kAtOnce = 0.1; // an edge that is seen as it happens, by a busy machine
constexpr double kScan = 1.1;   // seconds: one scan, and a little

// Holds the device from `begin` to `end`, in milliseconds from now.
TenantProcess tenant(const std::string &cgroup, unsigned begin, unsigned end) {
    return {cgroup, [=](Deed &deed) {
                sleep_ms(begin);
                deed.before_ns = boottime_ns();
                int fd = open("/dev/full", O_RDONLY | O_CLOEXEC);
                sleep_ms(end - begin);
                close(fd);
                deed.after_ns = boottime_ns();
            }};
}

// The rows of `tally report --idle --csv`, by title.
std::vector<std::map<std::string, std::string>> rows_of(const std::string &csv) {
    std::vector<std::map<std::string, std::string>> rows;
    std::vector<std::string> titles;
    std::istringstream lines(csv);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream cells(line);
        std::vector<std::string> row;
        for (std::string cell; std::getline(cells, cell, ',');)
            row.push_back(cell);
        if (titles.empty()) {
            titles = row;
            continue;
        }
        rows.emplace_back();
        for (size_t i = 0; i < row.size() && i < titles.size(); i++)
            rows.back()[titles[i]] = row[i];
    }
    return rows;
}

class Occupancy : public testing::TestWithParam<std::string> {};

TEST_P(Occupancy, IsTheUnionOfWhatItsHoldersDid) {
    Lab lab;
    std::string first = lab.cgroup("first");
    std::string second = lab.cgroup("second");
    lab.write("tenants.d/lab.toml", "[[tenant]]\nname = \"acme\"\nprefixes = [\"" +
                                        first.substr(cgroup2_mount().size()) + "\"]\n");
    lab.start_collector();
    lab.start_agent({"--hooks=" + GetParam()});

    // Alone for 2 s, both for 2 s, alone for 1 s, nobody for 2 s, and both from then on, while the
    // agent is away.
    TenantProcess early = tenant(first, 0, 4000);
    TenantProcess between = tenant(second, 2000, 5000);
    early.join();
    between.join();
    sleep_ms(2000);
    TenantProcess late = tenant(first, 0, 5000);
    TenantProcess within = tenant(second, 1500, 3000);
    sleep_ms(1000);
    lab.agent().stop(SIGKILL);
    sleep_ms(1000);
    lab.start_agent({"--hooks=" + GetParam()});
    late.join();
    within.join();
    sleep_ms(2500);
    EXPECT_TRUE(lab.agent().says("connected", 30000)) << lab.agent().output();
    lab.stop_all();

    auto attested = read_attested(lab);
    ASSERT_TRUE(attested) << attested.error().message;
    storm::Spans held;
    double edges = 0;
    for (const TenantProcess *one : {&early, &between, &late, &within})
        held.add(one->deed().before_ns, one->deed().after_ns);
    ASSERT_EQ(held.count(), 2U);
    edges = static_cast<double>(held.count()) *
            (GetParam() == "exact" || GetParam() == "kprobe" ? kAtOnce : kScan);
    auto expected =
        static_cast<double>(held.length(attested->begin_ns(), attested->end_ns())) / 1e9;
    pb::Occupancy occupied = attested->occupied(kDevice);
    double found = static_cast<double>(occupied.occupied_ns()) / 1e9;
    EXPECT_NEAR(found, expected, edges);
    EXPECT_EQ(occupied.late_ns(), 0U); // no file was shared
    for (const AttestedWindow &window : attested->windows) {
        EXPECT_TRUE(window.tells_occupancy);
        EXPECT_EQ(window.imbalances, std::vector<std::string>());
    }

    Outcome report = lab.tally({"report", lab.log(), "--idle", "--csv", "--device", kDevice});
    EXPECT_LE(report.status, 1) << report.output;
    auto rows = rows_of(report.output);
    ASSERT_EQ(rows.size(), 1U) << report.output;
    auto ns = [&](const char *title) { return std::stod(rows[0].at(title)); };
    EXPECT_NEAR(ns("tenant_seconds"), 9.0, edges);
    EXPECT_NEAR(ns("unattributed_seconds"), 4.5, edges);
    EXPECT_NEAR(ns("overlap_seconds"), 3.5, edges);
    EXPECT_GT(ns("idle_seconds"), 2.0);
    EXPECT_EQ(ns("not_told_seconds"), 0.0);
    EXPECT_NEAR(ns("tenant_seconds") + ns("service_seconds") + ns("unattributed_seconds") -
                    ns("overlap_seconds") + ns("idle_seconds"),
                ns("covered_seconds"), 0.0021); // each is rounded to the millisecond
    std::printf("%s: occupied for %.6f s, the tenants say %.6f s\n%s", GetParam().c_str(), found,
                expected, report.output.c_str());
}

INSTANTIATE_TEST_SUITE_P(Rungs, Occupancy, testing::ValuesIn(rungs()),
                         [](const auto &info) { return info.param; });

} // namespace
} // namespace tally
