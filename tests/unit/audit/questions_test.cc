// The auditor's questions: who, when, how many at once; and the evidence handed on.
#include "audit/bundle.h"
#include "audit/concurrent.h"
#include "audit/json.h"
#include "audit/report.h"
#include "audit/timeline.h"
#include "base/text.h"
#include "tests/unit/audit/rig.h"

#include <ctime>

namespace tally {

namespace {

constexpr uint64_t kSecond = TestHost::kSecond;
// Tomorrow's, when the test's certificates are valid.
const uint64_t kNoon =
    (static_cast<uint64_t>(std::time(nullptr)) / 86'400 + 1) * 86'400 * kSecond + 43'200 * kSecond;

class QuestionsAudit : public Audit {
protected:
    struct Use {
        const char *tenant;
        const char *parent;
        uint64_t held_seconds;
        uint32_t device = 0;
    };
    // A window from `at` on, of a host with devices 0 and 1, models "A" and "B".
    void say_at(TestHost &host, uint64_t at, const std::vector<Use> &uses) {
        say_changed(host, [&](pb::Statement &statement) {
            pb::Window &window = *statement.mutable_window();
            window.set_begin_wall_ns(at);
            window.set_end_wall_ns(at + TestHost::kWindow);
            if (statement.has_inventory()) {
                statement.mutable_inventory()->mutable_devices(0)->set_model("A");
                pb::Device &second = *statement.mutable_inventory()->add_devices();
                second.set_index(1);
                second.set_id("pci:0000:3b:00.0");
                second.set_model("B");
            }
            statement.clear_workloads();
            statement.clear_usage();
            for (const Use &use : uses) {
                pb::Workload &workload = *statement.add_workloads();
                workload.set_tenant(use.tenant);
                workload.set_parent(use.parent);
                workload.set_cgroup_path("/w/" + std::string(use.tenant));
                pb::Usage &usage = *statement.add_usage();
                usage.set_workload(static_cast<uint32_t>(statement.workloads_size() - 1));
                usage.set_device(use.device);
                usage.set_held_ns(use.held_seconds * kSecond);
                usage.set_opens(1);
            }
        });
    }
    std::string csv(std::set<By> by, Question question = {}) const {
        std::string text = report_csv(account(UsageSums(std::move(question), std::move(by))));
        return text;
    }
    Holds holds(const Question &question = {}) const {
        Holds holds(question);
        account(UsageSums(), [&](const Entry &entry) { holds.add(entry); });
        return holds;
    }
};

TEST_F(QuestionsAudit, AReportIsByWhatIsAsked) {
    say_at(gpu1, kNoon, {{"acme", "", 4, 0}, {"globex", "middleman", 10, 1}});
    say_at(gpu2, kNoon, {{"acme", "", 6, 1}});
    log.publish();
    EXPECT_EQ(csv({By::kTenant}), "tenant,held_seconds,held_upper_seconds,opens,found,releases,"
                                  "windows\nacme,10.000,10.000,2,0,0,2\nglobex,10.000,10.000,1,0,"
                                  "0,1\n");
    std::string day = utc_time(kNoon).substr(0, 10);
    EXPECT_EQ(csv({By::kModel, By::kDay}),
              "day,model,held_seconds,held_upper_seconds,opens,found,releases,windows\n" + day +
                  ",A,4.000,4.000,1,0,0,1\n" + day + ",B,16.000,16.000,2,0,0,2\n");
    EXPECT_EQ(csv({By::kParent}), "parent,held_seconds,held_upper_seconds,opens,found,releases,"
                                  "windows\n,10.000,10.000,2,0,0,2\nmiddleman,10.000,10.000,1,0,0,"
                                  "1\n");
}

TEST_F(QuestionsAudit, SpansSideBySideAddUp) {
    for (uint64_t i = 0; i < 6; i++)
        say_at(gpu1, kNoon + i * TestHost::kWindow, {{"acme", "", i + 1}});
    log.publish();
    Question first;
    first.to_ns = kNoon + 25 * kSecond; // within the third window, which began before
    Question second;
    second.from_ns = first.to_ns;
    uint64_t held[3];
    for (auto [question, sum] :
         {std::pair(Question(), &held[0]), std::pair(first, &held[1]), std::pair(second, &held[2])})
        *sum = account(UsageSums(question)).usage.rows().at(0).second.held_ns;
    EXPECT_EQ(held[1], 6 * kSecond);
    EXPECT_EQ(held[0], held[1] + held[2]);
}

TEST_F(QuestionsAudit, FilesThatFoundNoRoomMakeTheWindowTheUpperBound) {
    say_changed(gpu1,
                [](pb::Statement &statement) { statement.mutable_usage(0)->set_untracked(2); });
    say(gpu1);
    log.publish();
    Account taken = account();
    EXPECT_NE(report_csv(taken).find(",8.000,14.000,"), std::string::npos) << report_csv(taken);
    EXPECT_NE(report_table(taken).find("AT MOST"), std::string::npos);
    EXPECT_NE(report_json(taken).find(R"("held_upper_seconds": 14.000)"), std::string::npos);
    EXPECT_NE(report_focus(taken).find(",0.0022,Hours,gpu1.example,,0.0039,"), std::string::npos)
        << report_focus(taken);
}

TEST_F(QuestionsAudit, TimesAreReadStrictly) {
    EXPECT_EQ(utc_time(*parse_time("2026-11-23")), "2026-11-23T00:00:00.000Z");
    EXPECT_EQ(utc_time(*parse_time("2026-11-23T18:50:46.25Z")), "2026-11-23T18:50:46.250Z");
    for (const char *wrong :
         {"", "yesterday", "2026-11-23T18:50:46", "2026-11-23 ", "2026-13-01",
          "2026-11-23T18:50:46.Z", "1960-01-01", "2026-11-31", "2026-1-1", "2026-11-23T24:00:00Z"})
        EXPECT_FALSE(parse_time(wrong)) << wrong;
    log.publish();
    EXPECT_EQ(tally("report " + log.directory() + " --from 2026-11-23 --to 2026-11-23").status, 2);
    EXPECT_EQ(tally("report " + log.directory() + " --by colour").status, 2);
}

TEST_F(QuestionsAudit, ATimelineMarksWhatWasHeld) {
    say_at(gpu1, kNoon, {{"acme", "", 10, 0}, {"globex", "", 3, 1}});
    say_at(gpu1, kNoon + 10 * kSecond, {});
    say_at(gpu1, kNoon + 20 * kSecond, {{"acme", "", 10, 0}});
    say_at(gpu1, kNoon + 30 * kSecond, {{"acme", "", 6, 0}});
    log.publish();
    auto bars = timeline(holds(), {}, "gpu1.example", 8);
    ASSERT_TRUE(bars);
    EXPECT_NE(bars->find("node:/dev/test0   acme    ##..##++\n"), std::string::npos) << *bars;
    EXPECT_NE(bars->find("pci:0000:3b:00.0  globex  --......\n"), std::string::npos) << *bars;
    EXPECT_FALSE(timeline(holds(), {}, "nobody"));
    EXPECT_EQ(tally("timeline " + log.directory() + " acme").status, 0);
    EXPECT_EQ(tally("timeline " + log.directory() + " nobody").status, 2);
}

TEST_F(QuestionsAudit, DevicesHeldAtOnceAreCountedAndSoIsStructuringUnderOneParent) {
    // Two accounts of one parent: never two devices at once by themselves, three together.
    say_at(gpu1, kNoon, {{"a", "shell", 10, 0}, {"b", "shell", 10, 1}});
    say_at(gpu1, kNoon + 10 * kSecond, {{"a", "shell", 10, 0}, {"b", "shell", 10, 1}});
    say_at(gpu2, kNoon + 10 * kSecond, {{"c", "shell", 10, 0}, {"d", "", 5, 1}});
    log.publish();
    auto tenants = concurrent(holds(), false);
    ASSERT_EQ(tenants.size(), 4U);
    EXPECT_EQ(tenants[0].certain.devices, 1U);
    EXPECT_EQ(tenants[0].certain.for_ns, 20 * kSecond);
    auto parents = concurrent(holds(), true);
    ASSERT_EQ(parents.size(), 2U);
    EXPECT_EQ(parents[0].who, "shell");
    EXPECT_EQ(parents[0].certain.devices, 3U);
    EXPECT_EQ(parents[0].certain.for_ns, 10 * kSecond);
    EXPECT_EQ(parents[0].certain.from_ns, kNoon + 10 * kSecond);
    EXPECT_EQ(parents[1].who, "d"); // held for half of a window: perhaps, not certainly
    EXPECT_EQ(parents[1].certain.devices, 0U);
    EXPECT_EQ(parents[1].possible.devices, 1U);
    EXPECT_NE(tally("concurrent " + log.directory() + " --by-parent --csv")
                  .output.find("shell,3,10.000,"),
              std::string::npos);
    std::string json = tally("concurrent " + log.directory() + " --by-parent --json").output;
    for (const std::string &part :
         {std::string(R"({"parent": "shell", "certain": {"devices": 3, "seconds": 10.000, )"),
          std::string(R"({"parent": "d", "certain": {"devices": 0, "seconds": 0.000, )"
                      R"("from": null}, "possible": {"devices": 1, )")})
        EXPECT_NE(json.find(part), std::string::npos) << part << "\n" << json;
}

TEST_F(QuestionsAudit, ABundleProvesAFigureWithoutTheLog) {
    for (uint64_t i = 0; i < 300; i++) {
        say_at(gpu1, kNoon + i * TestHost::kWindow, {{"acme", "", 2}, {"globex", "", 3, 1}});
        say_at(gpu2, kNoon + i * TestHost::kWindow, {{i % 100 == 7 ? "acme" : "other", "", 5}});
    }
    log.publish();
    std::string bundle = keys.path("acme.bundle");
    std::string asked = " --tenant acme --from " + utc_time(kNoon + 1000 * kSecond);
    Outcome proved = tally("prove " + log.directory() + asked);
    ASSERT_EQ(proved.status, 0) << proved.errors;
    write_all(bundle, view(proved.output));
    Outcome verified = tally("verify " + bundle);
    EXPECT_EQ(verified.status, 0) << verified.errors;
    EXPECT_EQ(verified.output.find("keys that the bundle brings"), std::string::npos);
    // gpu1: 200 windows of 2 s; gpu2: two of 5 s. 202 attestations and the two hosts' first.
    auto alone = check_bundle(bundle, "", "");
    ASSERT_TRUE(alone) << alone.error().message;
    EXPECT_EQ(alone->entries, 204U);
    EXPECT_TRUE(alone->own_keys);
    auto rows = alone->usage.rows();
    ASSERT_EQ(rows.size(), 2U);
    EXPECT_EQ(rows[0].second.held_ns, 400 * kSecond);
    EXPECT_EQ(rows[1].second.held_ns, 10 * kSecond);

    Outcome traced = tally("trace " + log.directory() + asked);
    EXPECT_EQ(traced.status, 0);
    EXPECT_NE(traced.output.find("held 6 min 50 s in 202 attestations"), std::string::npos);
    EXPECT_EQ(tally("prove " + log.directory() + " --tenant nobody").status, 2);
}

TEST_F(QuestionsAudit, ABundleThatWasTouchedIsRefused) {
    for (uint64_t i = 0; i < 3; i++)
        say(gpu1);
    log.publish();
    Outcome proved = tally("prove " + log.directory() + " --tenant acme");
    ASSERT_EQ(proved.status, 0);
    std::string bundle = keys.path("acme.bundle");
    std::string vkeys = keys.read("log.vkeys");
    std::string root = keys.read("fleet-ca.pem");
    auto refused = [&](const std::string &bytes) {
        write_all(bundle, view(bytes));
        return !check_bundle(bundle, vkeys, root);
    };
    ASSERT_FALSE(refused(proved.output));
    EXPECT_TRUE(refused(proved.output + "x"));
    EXPECT_TRUE(refused(proved.output.substr(0, proved.output.size() - 1)));
    // Entries begin behind the header, whose keys and question nobody signed.
    size_t entries =
        kBundleMagic.size() + 4 +
        get_be32(reinterpret_cast<const uint8_t *>(&proved.output[kBundleMagic.size()]));
    for (size_t at = entries; at < proved.output.size(); at += 7) {
        std::string touched = proved.output;
        touched[at] = static_cast<char>(touched[at] ^ 1);
        EXPECT_TRUE(refused(touched)) << at;
    }
    TestKeys others({"gpu1.example"});
    write_all(bundle, view(proved.output));
    EXPECT_FALSE(check_bundle(bundle, others.read("log.vkeys"), root));
    EXPECT_FALSE(check_bundle(bundle, vkeys, others.read("fleet-ca.pem")));
}

TEST_F(QuestionsAudit, FindingsAndHostsHaveTheirOwnPages) {
    say(gpu1);
    say_changed(gpu2, [](pb::Statement &statement) {
        statement.add_events()->set_kind(pb::Event::KIND_REFUSED);
    });
    log.publish();
    Outcome findings = tally("findings " + log.directory() + " --csv");
    EXPECT_EQ(findings.status, 1);
    EXPECT_EQ(findings.output, "kind,host,sequence,log_index,text,id,state,explained_by,"
                               "explained_at,why,reference,explanations\n"
                               "event,gpu2.example,1,1,attestation refused: ,event@1,open,,,,,\n");
    Outcome as_json = tally("findings " + log.directory() + " --json");
    EXPECT_EQ(as_json.status, 1);
    EXPECT_EQ(
        as_json.output.find("{\n  \"log\": {\"origin\": \"example.com/fleet\", \"size\": 2, "), 0U);
    std::string rest = R"("event", "host": "gpu2.example", "sequence": 1, "log_index": 1, )"
                       R"("text": "attestation refused: ", "id": "event@1", "state": "open", )"
                       R"("explanation": null, "explanations": []})"
                       "\n  ]\n}\n";
    EXPECT_TRUE(as_json.output.ends_with("  \"findings\": [\n    {\"kind\": " + rest))
        << as_json.output;
    std::string hosts_as_json = tally("hosts " + log.directory() + " --json").output;
    EXPECT_NE(hosts_as_json.find(R"({"host": "gpu2.example", "attestations": 1, )"),
              std::string::npos)
        << hosts_as_json;
    EXPECT_NE(hosts_as_json.find(R"("uncovered_seconds": 0.000, "findings": 1})"),
              std::string::npos);
    Outcome hosts = tally("hosts " + log.directory());
    EXPECT_EQ(hosts.status, 1);
    EXPECT_NE(hosts.output.find("gpu2.example             1      1"), std::string::npos)
        << hosts.output;
}

} // namespace

} // namespace tally
