// Tenant files that change while a device is held: until then it was held for one tenant, from then
// on for another, and the record says so.
#include "base/bytes.h"
#include "tests/system/attested.h"
#include "tests/system/lab.h"

#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>

namespace tally {
namespace {

constexpr double kScan = 1.1; // seconds: one scan, and a little
constexpr const char *kChain = "[[tenant]]\nname = \"after\"\nparent = \"reseller\"\n"
                               "country = \"DE\"\ncontract = \"C-7\"\ncgroups = [\"/*/vm\"]\n"
                               "[[tenant]]\nname = \"reseller\"\nparent = \"cloud\"\n";

double seconds(uint64_t ns) {
    return static_cast<double>(ns) / 1e9;
}

class TenantChange : public testing::Test {
protected:
    TenantChange() {
        drop("[[tenant]]\nname = \"before\"\ncgroups = [\"/*/vm\"]\n");
        lab_.start_collector();
    }
    // By rename, as fleet tooling does.
    void drop(const std::string &contents) const { lab_.write("tenants.d/lab.toml", contents); }

    TenantProcess hold() {
        return {lab_.cgroup("vm"), [](Deed &deed) {
                    while (open("/dev/full", O_RDONLY | O_CLOEXEC) < 0)
                        sleep_ms(10);
                    deed.begin_ns = boottime_ns();
                    while (!deed.agent_runs) // until it is told to end
                        sleep_ms(10);
                    deed.end_ns = boottime_ns();
                }};
    }
    static void release(TenantProcess &tenant) {
        tenant.deed().agent_runs = true;
        tenant.join();
        sleep_ms(1500);
    }
    // What each tenant held and opened, by `column`, and what all did.
    std::map<std::string, double> held(const std::string &column) const {
        std::map<std::string, double> held;
        Outcome report = lab_.tally({"report", lab_.log(), "--csv", "--by", column});
        EXPECT_LE(report.status, 1) << report.output;
        std::string_view rest = report.output;
        take_until(rest, '\n');
        while (!rest.empty()) {
            std::string_view line = take_until(rest, '\n');
            std::string name(take_until(line, ','));
            held[name] = std::stod(std::string(take_until(line, ',')));
        }
        return held;
    }
    size_t times_said(const std::string &text) {
        std::string output = lab_.agent().output();
        size_t times = 0;
        for (size_t at = 0; (at = output.find(text, at)) != std::string::npos; at++)
            times++;
        return times;
    }
    std::vector<std::string> findings(const std::string &kind) const {
        std::vector<std::string> lines;
        std::string text = lab_.tally({"findings", lab_.log(), "--csv"}).output;
        std::string_view rest = text;
        while (!rest.empty()) {
            std::string line(take_until(rest, '\n'));
            if (line.starts_with(kind + ","))
                lines.push_back(line);
        }
        return lines;
    }

    Lab lab_;
};

TEST_F(TenantChange, AReplacedFileSplitsAHoldAtThatMomentAndABadOneDoesNot) {
    lab_.start_agent({"--hooks=traced"});
    TenantProcess tenant = hold();
    sleep_ms(2700);
    uint64_t changed_ns = boottime_ns();
    drop(kChain);
    sleep_ms(2300);
    drop("[[tenant]]\nname = \"nobody-means-this\"\ncgroups = [\"/*\"]\n[[ten");
    sleep_ms(2000);
    release(tenant);
    lab_.stop_all();

    const Deed &deed = tenant.deed();
    auto by_tenant = held("tenant");
    EXPECT_EQ(by_tenant.size(), 2U);
    EXPECT_NEAR(by_tenant["before"], seconds(changed_ns - deed.begin_ns), kScan);
    EXPECT_NEAR(by_tenant["after"], seconds(deed.end_ns - changed_ns), kScan);
    auto by_payer = held("payer");
    EXPECT_EQ(by_payer.size(), 2U);
    EXPECT_NEAR(by_payer["cloud"], by_tenant["after"], 0.002);
    EXPECT_NEAR(held("parent")["reseller"], by_tenant["after"], 0.002);
    EXPECT_NEAR(held("host")[Lab::kHost], by_tenant["before"] + by_tenant["after"], 0.002);

    // To the moment: a window ends there, and no later one names the first tenant.
    auto statements = read_statements(lab_);
    ASSERT_TRUE(statements) << statements.error().message;
    uint64_t split_ns = 0;
    std::set<std::string> digests;
    for (const pb::Statement &statement : *statements) {
        if (statement.has_agent())
            digests.insert(statement.agent().config_digest());
        for (const pb::Workload &workload : statement.workloads()) {
            if (workload.tenant() == "before")
                split_ns = statement.window().end_boottime_ns();
            else
                EXPECT_GE(statement.window().begin_boottime_ns(), split_ns);
            if (workload.tenant() == "after" && workload.has_attribution()) {
                EXPECT_EQ(workload.attribution().country(), "DE");
                EXPECT_EQ(workload.attribution().contract(), "C-7");
                EXPECT_EQ(workload.payers_size(), 1);
            }
        }
    }
    EXPECT_NEAR(seconds(split_ns - changed_ns), 0.25, 0.25);
    std::printf("split %.3f s after the rename\n", seconds(split_ns - changed_ns));
    EXPECT_EQ(digests.size(), 2U); // of what was in force; never the bad file's

    auto changes = findings("tenant");
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_NE(changes[0].find("from before to after through reseller through cloud, by lab.toml:6: "
                              "cgroups /*/vm"),
              std::string::npos)
        << changes[0];
    auto events = findings("event");
    ASSERT_EQ(events.size(), 1U);
    EXPECT_NE(events[0].find("configuration rejected: "), std::string::npos) << events[0];
    EXPECT_NE(events[0].find("/tenants.d/lab.toml:4:"), std::string::npos) << events[0];
    EXPECT_EQ(times_said("those before stay in force"), 1U) << lab_.agent().output();
    EXPECT_EQ(times_said("tenant files: 1 rules"), 1U) << lab_.agent().output();
}

TEST_F(TenantChange, FilesThatChangeWhileNoAgentRunsCountFromWhenOneDoes) {
    lab_.start_agent({"--hooks=traced"});
    TenantProcess tenant = hold();
    sleep_ms(2500);
    EXPECT_EQ(lab_.agent().stop(SIGKILL), 128 + SIGKILL);
    drop(kChain);
    sleep_ms(1000);
    uint64_t begin_ns = boottime_ns();
    lab_.start_agent({"--hooks=traced"});
    uint64_t started_ns = boottime_ns();
    sleep_ms(2500);
    release(tenant);
    lab_.stop_all();

    const Deed &deed = tenant.deed();
    auto by_tenant = held("tenant");
    EXPECT_EQ(by_tenant.size(), 2U);
    EXPECT_GE(by_tenant["before"], seconds(begin_ns - deed.begin_ns) - 0.1);
    EXPECT_LE(by_tenant["before"], seconds(started_ns - deed.begin_ns) + 0.5);
    EXPECT_NEAR(by_tenant["before"] + by_tenant["after"], seconds(deed.end_ns - deed.begin_ns),
                kScan);
    auto changes = findings("tenant");
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_NE(changes[0].find("from before to after through reseller through cloud"),
              std::string::npos)
        << changes[0];
}

TEST_F(TenantChange, WhereNothingIsHeldItIsNoFinding) {
    lab_.start_agent({"--hooks=traced"});
    TenantProcess tenant = hold();
    sleep_ms(300);
    release(tenant);
    drop(kChain);
    EXPECT_TRUE(lab_.agent().says("tenant files: 1 rules", 3000)) << lab_.agent().output();
    std::filesystem::remove(lab_.path("tenants.d/lab.toml"));
    EXPECT_TRUE(lab_.agent().says("tenant files: 0 rules", 3000)) << lab_.agent().output();
    lab_.stop_all();
    EXPECT_EQ(findings("tenant").size(), 0U);
    EXPECT_EQ(lab_.tally({"verify", lab_.log()}).status, 0);
}

TEST_F(TenantChange, ConflictsAreRefusedBeforeAnythingStarts) {
    lab_.write("tenants.d/other.toml", "[[tenant]]\nname = \"x\"\ncgroups = [\"/*/vm\"]\n");
    Outcome checked =
        run({Lab::program("tallyd"), "--config", lab_.path("tallyd.toml"), "--check-config"});
    EXPECT_EQ(checked.status, 2);
    EXPECT_EQ(std::count(checked.output.begin(), checked.output.end(), '\n'), 1);
    EXPECT_NE(checked.output.find("other.toml:3: cgroups: \"/*/vm\" is x's here and before's at"),
              std::string::npos)
        << checked.output;
}

} // namespace
} // namespace tally
