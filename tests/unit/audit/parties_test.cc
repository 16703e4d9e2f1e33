// Who pays: chains of resellers in reports, and that every level adds up to the same.
#include "attest/parties.h"
#include "audit/concurrent.h"
#include "audit/json.h"
#include "audit/report.h"
#include "audit/show.h"
#include "base/text.h"
#include "tests/unit/audit/rig.h"

#include <algorithm>
#include <random>

namespace tally {

namespace {

constexpr uint64_t kSecond = TestHost::kSecond;

struct Use {
    std::vector<std::string> chain; // the tenant first, or a service; empty: unattributed
    std::string cgroup;
    uint64_t held_ns = 0;
    uint64_t opens = 1;
};

void set_chain(pb::Workload &workload, const std::vector<std::string> &chain) {
    workload.clear_tenant();
    workload.clear_parent();
    workload.clear_payers();
    for (size_t i = 0; i < chain.size(); i++) {
        if (is_service_name(chain[i]))
            workload.set_service(chain[i].substr(kServicePrefix.size()));
        else if (i == 0)
            workload.set_tenant(chain[i]);
        else if (i == 1)
            workload.set_parent(chain[i]);
        else
            workload.add_payers(chain[i]);
    }
}

class PartiesAudit : public Audit {
protected:
    void say_used(TestHost &host, const std::vector<Use> &uses) {
        say_changed(host, [&](pb::Statement &statement) {
            statement.clear_workloads();
            statement.clear_usage();
            for (const Use &use : uses) {
                pb::Workload &workload = *statement.add_workloads();
                set_chain(workload, use.chain);
                workload.set_cgroup_path(use.cgroup);
                pb::Usage &usage = *statement.add_usage();
                usage.set_workload(static_cast<uint32_t>(statement.workloads_size() - 1));
                usage.set_held_ns(use.held_ns);
                usage.set_opens(use.opens);
            }
        });
    }
    void resell() {
        say_used(gpu1, {{{"globex", "reseller", "broker", "cloud"}, "/g", 4 * kSecond},
                        {{"initech", "broker", "cloud"}, "/i", 3 * kSecond},
                        {{"acme"}, "/a", 2 * kSecond},
                        {{}, "/cron", kSecond}});
        log.publish();
    }
    // The lines without their header, up to the held time.
    std::vector<std::string> rows(const std::string &arguments) const {
        Outcome outcome = tally("report " + log.directory() + " --csv " + arguments);
        EXPECT_LE(outcome.status, 1) << outcome.errors;
        std::vector<std::string> rows;
        std::string_view rest = outcome.output;
        take_until(rest, '\n');
        while (!rest.empty()) {
            std::string line(take_until(rest, '\n'));
            rows.push_back(line.substr(0, line.find(".000,")));
        }
        return rows;
    }
};

using Lines = std::vector<std::string>;

TEST_F(PartiesAudit, EachLevelIsAReportOfItsOwnWithARowForNobody) {
    resell();
    EXPECT_EQ(rows("--by tenant"), (Lines{"acme,2", "globex,4", "initech,3", ",1"}));
    EXPECT_EQ(rows("--by parent"), (Lines{",2", "broker,3", "reseller,4", "unattributed,1"}));
    EXPECT_EQ(rows("--by payer"), (Lines{"acme,2", "cloud,7", "unattributed,1"}));
    EXPECT_EQ(rows("--by payer,tenant"),
              (Lines{"acme,acme,2", "globex,cloud,4", "initech,cloud,3", ",,1"}));
    EXPECT_EQ(rows("--by workload"), (Lines{"/a,2", "/cron,1", "/g,4", "/i,3"}));
    Outcome table = tally("report " + log.directory() + " --by payer");
    EXPECT_NE(table.output.find("PAYER "), std::string::npos) << table.output;
    EXPECT_NE(table.output.find("\nunattributed  1.000 s"), std::string::npos) << table.output;
    Outcome json = tally("report " + log.directory() + " --by parent --json");
    EXPECT_NE(json.output.find(R"("payer": "", "unattributed": true)"), std::string::npos)
        << json.output;
    Outcome focus = tally("report " + log.directory() + " --focus");
    EXPECT_NE(focus.output.find("\ncloud,globex,Usage,"), std::string::npos) << focus.output;
    EXPECT_NE(focus.output.find("\nacme,acme,Usage,"), std::string::npos);
}

TEST_F(PartiesAudit, AServiceIsShownAtEachLevelAndNeverBilled) {
    say_used(gpu1, {{{"globex", "cloud"}, "/g", 4 * kSecond},
                    {{"service:dcgm"}, "/system.slice/dcgm.service", 3 * kSecond},
                    {{}, "/cron", kSecond}});
    log.publish();
    EXPECT_EQ(rows("--by tenant"), (Lines{"globex,4", "service:dcgm,3", ",1"}));
    EXPECT_EQ(rows("--by parent"), (Lines{"cloud,4", "service:dcgm,3", "unattributed,1"}));
    EXPECT_EQ(rows("--by payer"), (Lines{"cloud,4", "service:dcgm,3", "unattributed,1"}));
    EXPECT_EQ(rows("--by tenant --tenant service:dcgm"), Lines{"service:dcgm,3"});
    Outcome table = tally("report " + log.directory());
    EXPECT_NE(table.output.find("\nservice:dcgm "), std::string::npos) << table.output;
    Outcome focus = tally("report " + log.directory() + " --focus");
    EXPECT_NE(focus.output.find("globex"), std::string::npos) << focus.output;
    EXPECT_EQ(focus.output.find("dcgm"), std::string::npos) << focus.output;
    EXPECT_EQ(lines_of(account().findings).size(), 1U) << "only cron is unattributed";
}

TEST_F(PartiesAudit, AParentIsAskedForAtAnyRemove) {
    resell();
    EXPECT_EQ(rows("--by tenant --parent cloud"), (Lines{"globex,4", "initech,3"}));
    EXPECT_EQ(rows("--by tenant --parent broker"), (Lines{"globex,4", "initech,3"}));
    EXPECT_EQ(rows("--by tenant --parent reseller"), (Lines{"globex,4"}));
    EXPECT_EQ(rows("--by tenant --parent acme"), Lines()); // itself is not its parent
}

TEST_F(PartiesAudit, DevicesHeldAtOnceCountForEachPartyAbove) {
    say_used(gpu1, {{{"a", "shell-1", "group"}, "/a", TestHost::kWindow}});
    say_used(gpu2, {{{"b", "shell-2", "group"}, "/b", TestHost::kWindow}});
    log.publish();
    Holds holds({});
    account(UsageSums(), [&](const Entry &entry) { holds.add(entry); });
    std::map<std::string, uint64_t> devices;
    for (const Concurrent &row : concurrent(holds, true))
        devices[row.who] = row.possible.devices;
    EXPECT_EQ(devices,
              (std::map<std::string, uint64_t>{{"group", 2}, {"shell-1", 1}, {"shell-2", 1}}));
}

TEST_F(PartiesAudit, ShowSaysWhoPaysAndUnderWhatTerms) {
    say_changed(gpu1, [](pb::Statement &statement) {
        pb::Workload &workload = *statement.mutable_workloads(0);
        set_chain(workload, {"globex", "reseller", "cloud"});
        pb::Attribution &attribution = *workload.mutable_attribution();
        attribution.set_country("DE");
        attribution.set_contract("C-7");
    });
    log.publish();
    std::string page = tally("show " + log.directory() + " 0").output;
    for (const char *part : {"tenant globex through reseller through cloud, cgroup /tenants/acme",
                             "\n              country DE, contract C-7\n"})
        EXPECT_NE(page.find(part), std::string::npos) << part << "\n" << page;
}

TEST_F(PartiesAudit, AChangeOfTenantIsAFindingAndSoAreRefusedFiles) {
    say_changed(gpu1, [](pb::Statement &statement) {
        for (auto [kind, detail] :
             {std::pair(pb::Event::KIND_TENANT_CHANGED, "/a (cgroup 7): from x to y, by b.toml:3"),
              std::pair(pb::Event::KIND_CONFIG_REJECTED, "b.toml:1: no"),
              std::pair(pb::Event::KIND_CONFIG_CHANGED, "tenant files: 2 rules")}) {
            pb::Event &event = *statement.add_events();
            event.set_kind(kind);
            event.set_detail(detail);
        }
    });
    log.publish();
    EXPECT_EQ(lines_of(account().findings),
              (Lines{"tenant: tenant changed: /a (cgroup 7): from x to y, by b.toml:3",
                     "event: configuration rejected: b.toml:1: no"}));
}

// Whatever a log says, the rows of a report add up to what was said, by whichever columns.
TEST_F(PartiesAudit, EveryLevelAddsUpToTheSame) {
    std::mt19937_64 random(5); // NOLINT: the same each time
    auto some = [&](size_t most) { return static_cast<size_t>(random() % most); };
    constexpr By kAll[] = {By::kDay,   By::kHost,   By::kTenant, By::kParent,
                           By::kPayer, By::kDevice, By::kModel,  By::kWorkload};
    uint64_t held = 0;
    uint64_t opens = 0;
    uint64_t nobodys = 0;
    for (int i = 0; i < 60; i++) {
        std::vector<Use> uses;
        for (size_t n = some(9); n > 0; n--) {
            Use use;
            for (size_t depth = some(8); depth > 0; depth--)
                use.chain.push_back("p" + std::to_string(some(5)));
            use.cgroup = some(7) == 0 ? "" : "/w" + std::to_string(some(6));
            use.held_ns = random() % TestHost::kWindow;
            use.opens = 1 + some(50);
            held += use.held_ns;
            opens += use.opens;
            nobodys += use.chain.empty() ? use.held_ns : 0;
            uses.push_back(use);
        }
        say_used(i % 3 == 0 ? gpu2 : gpu1, uses);
    }
    log.publish();
    auto sums = [](const UsageSums &usage) {
        uint64_t held = 0;
        uint64_t opens = 0;
        uint64_t nobodys = 0;
        for (const auto &[key, sum] : usage.rows()) {
            held += sum.held_ns;
            opens += sum.opens;
            nobodys += key.of == UsageKey::Of::kNobody ? sum.held_ns : 0;
        }
        return std::tuple(held, opens, nobodys);
    };
    EXPECT_EQ(sums(account().usage), std::tuple(held, opens, nobodys));
    for (size_t set = 1; set < size_t{1} << std::size(kAll); set += 1 + some(3)) {
        std::set<By> by;
        for (size_t i = 0; i < std::size(kAll); i++) {
            if ((set >> i & 1) != 0)
                by.insert(kAll[i]);
        }
        bool parties =
            by.contains(By::kTenant) || by.contains(By::kParent) || by.contains(By::kPayer);
        EXPECT_EQ(sums(account(UsageSums({}, by)).usage),
                  std::tuple(held, opens, parties ? nobodys : 0))
            << set;
    }
    // Questions by payer share the whole among them, but for what is nobody's and the payers' own.
    std::map<std::string, uint64_t> payers;
    for (const auto &[key, sum] : account(UsageSums({}, {By::kPayer})).usage.rows())
        payers[key.of == UsageKey::Of::kNobody ? "nobody" : key.payer] = sum.held_ns;
    EXPECT_EQ(payers["nobody"], nobodys);
}

} // namespace

} // namespace tally
