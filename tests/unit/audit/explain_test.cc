// A finding is open or explained, never deleted: what counts, for what, and for how long.
#include "audit/bundle.h"
#include "audit/state.h"
#include "base/durable.h"
#include "base/text.h"
#include "tests/unit/audit/rig.h"
#include "tests/unit/support/explainer.h"

#include <filesystem>

namespace tally {

namespace {

constexpr uint64_t kSecond = TestHost::kSecond;

class ExplainAudit : public Audit {
protected:
    // Three statements of each host; the last of gpu1, log index 4, shows a gap.
    void misbehave() {
        say(gpu1, 2);
        say(gpu2, 2);
        say_paused(gpu1);
        say(gpu2);
    }
    void say_paused(TestHost &host) {
        say_changed(host, [](pb::Statement &statement) {
            statement.mutable_recording()->set_since_boottime_ns(
                statement.window().begin_boottime_ns() + 3 * kSecond);
        });
    }
    pb::FindingName gap() { return finding_name("gap", 4, log.entries()[4]); }
    Finding only(const std::string &id) const {
        log.publish();
        Finding found;
        size_t count = 0;
        for (const Finding &finding : account().findings) {
            if (id_of(finding) == id)
                found = finding;
            count += id_of(finding) == id ? 1 : 0;
        }
        EXPECT_EQ(count, 1U) << id;
        return found;
    }
    // "gap@4 open", of all.
    std::vector<std::string> states() const {
        log.publish();
        std::vector<std::string> states;
        for (const Finding &finding : account().findings)
            states.push_back(id_of(finding) + (finding.is_open() ? " open" : " explained"));
        return states;
    }
    using States = std::vector<std::string>;

    Explainer auditor{keys};
};

TEST_F(ExplainAudit, OpenThenExplainedThenWithdrawnThenExplainedAgain) {
    misbehave();
    log.publish();
    EXPECT_EQ(states(), States{"gap@4 open"});
    EXPECT_EQ(tally("verify " + log.directory()).status, 1);

    log.append(auditor.explain(gap()));
    Finding finding = only("gap@4");
    ASSERT_FALSE(finding.is_open());
    EXPECT_EQ(finding.last->who, "auditor.example");
    EXPECT_EQ(finding.last->why, "power maintenance");
    EXPECT_EQ(finding.last->reference, "OPS-1234");
    Outcome verify = tally("verify " + log.directory());
    EXPECT_EQ(verify.status, 0);
    EXPECT_NE(verify.output.find("explained finding: gap: gpu1.example, sequence 3, log index 4: "
                                 "3.000 s from "),
              std::string::npos)
        << verify.output;
    EXPECT_NE(verify.output.find("; explained by auditor.example, 20"), std::string::npos);
    EXPECT_NE(verify.output.find("Z: power maintenance (OPS-1234)\n"), std::string::npos);
    EXPECT_NE(verify.output.find("1 finding, 1 of them explained"), std::string::npos);
    EXPECT_NE(verify.output.find("6 attestations and 1 explanation, root "), std::string::npos);

    log.append(auditor.explain(gap(), "it was not", true));
    EXPECT_EQ(states(), States{"gap@4 open"});
    EXPECT_EQ(tally("report " + log.directory()).status, 1);
    EXPECT_NE(tally("findings " + log.directory()).output.find("explanation withdrawn by auditor"),
              std::string::npos);

    log.append(auditor.explain(gap(), "it was, after all"));
    finding = only("gap@4");
    EXPECT_EQ(finding.last->why, "it was, after all");
    EXPECT_EQ(finding.explanations, (std::vector<uint64_t>{6, 7, 8}));
    EXPECT_EQ(tally("findings " + log.directory()).status, 0);
}

TEST_F(ExplainAudit, EveryFormSaysWhoWhenAndWhy) {
    misbehave();
    say_paused(gpu2);
    pb::Explanation explanation = auditor.about(gap());
    explanation.set_why("moved to rack 7, \"for good\"");
    explanation.set_wall_ns(explanation.wall_ns() / kSecond * kSecond);
    log.append(auditor.sign(explanation));
    log.publish();
    std::string when = utc_time(explanation.wall_ns());
    std::string table = tally("findings " + log.directory()).output;
    EXPECT_NE(table.find("gap@4    gpu1.example         3      4  explained  3.000 s from"),
              std::string::npos)
        << table;
    EXPECT_NE(table.find("explained by auditor.example, " + when +
                         ": moved to rack 7, \"for "
                         "good\" (OPS-1234)\n"),
              std::string::npos)
        << table;
    EXPECT_NE(table.find("gap@6    gpu2.example         4      6  open       3.000 s from"),
              std::string::npos)
        << table;
    EXPECT_NE(table.find("2 findings, 1 of them explained\n"), std::string::npos);
    std::string csv = tally("findings --csv " + log.directory()).output;
    EXPECT_TRUE(csv.starts_with("kind,host,sequence,log_index,text,id,state,explained_by,"
                                "explained_at,why,reference,explanations\n"));
    EXPECT_NE(csv.find("recording,gap@4,explained,auditor.example," + when +
                       ",\"moved to rack 7, \"\"for good\"\"\",OPS-1234,7\n"),
              std::string::npos)
        << csv;
    EXPECT_NE(csv.find("recording,gap@6,open,,,,,\n"), std::string::npos) << csv;
    std::string json = tally("findings --json " + log.directory()).output;
    EXPECT_NE(json.find("\"id\": \"gap@4\", \"state\": \"explained\", \"explanation\": "
                        "{\"log_index\": 7, \"who\": \"auditor.example\", \"when\": \"" +
                        when + "\", \"why\": \"moved to rack 7, \\\"for good\\\"\""),
              std::string::npos)
        << json;
    EXPECT_NE(json.find("\"state\": \"open\", \"explanation\": null, \"explanations\": []"),
              std::string::npos);
    Outcome hosts = tally("hosts --json " + log.directory());
    EXPECT_EQ(hosts.status, 1);
    EXPECT_NE(hosts.output.find("\"open_findings\": 0, \"covered_seconds\""), std::string::npos);
    std::string page = tally("show " + log.directory() + " 7").output;
    EXPECT_NE(page.find("signed by     auditor.example, " + when), std::string::npos) << page;
    EXPECT_NE(page.find("explains      gap@4: gpu1.example, sequence 3, log index 4, sha256 "),
              std::string::npos)
        << page;
    EXPECT_NE(page.find("why           moved to rack 7"), std::string::npos);
}

// Nobody explains what is not there: neither another log's, nor what is still to come.
TEST_F(ExplainAudit, WhatNamesNoFindingIsAFinding) {
    misbehave();
    pb::FindingName honest = finding_name("gap", 0, log.entries()[0]); // shows nothing
    pb::FindingName kind = gap(), nth = gap(), digest = gap(), host = gap(), sequence = gap();
    kind.set_kind("fork");
    nth.set_nth(2);
    digest.mutable_entry()->front() ^= 1;
    host.set_host("gpu2.example");
    sequence.set_sequence(9);
    pb::FindingName ahead = gap();
    ahead.set_log_index(100);
    States expected = {"gap@4 open"};
    for (const auto &name : {honest, kind, nth, digest, host, sequence, ahead}) {
        log.append(auditor.explain(name));
        expected.push_back("explanation@" + std::to_string(log.entries().size() - 1) + " open");
    }
    EXPECT_EQ(states(), expected);
    Finding finding = only("explanation@6");
    EXPECT_EQ(finding.host, "auditor.example");
    EXPECT_EQ(finding.text, "explains gap@0 of gpu1.example, sequence 1: no such finding");
    EXPECT_NE(tally("verify " + log.directory())
                  .output.find("finding: explanation: auditor.example, log index 6: explains"),
              std::string::npos);

    // A mistake of that kind is explained like anything else.
    log.append(auditor.explain(name_of(finding), "mistyped"));
    EXPECT_FALSE(only("explanation@6").is_open());
}

TEST_F(ExplainAudit, SeveralAtOnceEachByItself) {
    misbehave();
    say_paused(gpu2);
    pb::Explanation explanation = auditor.about(gap());
    *explanation.add_findings() = finding_name("gap", 6, log.entries()[6]);
    *explanation.add_findings() = finding_name("gap", 5, log.entries()[5]); // none
    log.append(auditor.sign(explanation));
    EXPECT_EQ(states(), (States{"gap@4 explained", "gap@6 explained", "explanation@7 open"}));
}

TEST_F(ExplainAudit, TwoOfOneKindInOneAttestationAreToldApart) {
    say_changed(gpu1, [](pb::Statement &statement) {
        statement.mutable_workloads(0)->clear_tenant();
        *statement.add_workloads() = statement.workloads(0);
        statement.mutable_workloads(1)->set_cgroup_path("/other");
        *statement.add_usage() = statement.usage(0);
        statement.mutable_usage(1)->set_workload(1);
    });
    log.append(auditor.explain(finding_name("unattributed", 0, log.entries()[0], 2)));
    EXPECT_EQ(states(), (States{"unattributed@0 open", "unattributed@0.2 explained"}));
    EXPECT_TRUE(only("unattributed@0.2").text.starts_with("no tenant for /other"));
}

// Whoever holds the log can append what was signed once more; it must not bring back what was
// withdrawn.
TEST_F(ExplainAudit, AReplayCountsForNothing) {
    misbehave();
    pb::Explanation explanation = auditor.about(gap());
    Bytes first = auditor.sign(explanation);
    log.append(first);
    log.append(auditor.explain(gap(), "it was not", true));
    log.append(first);
    Bytes signed_anew = auditor.sign(explanation); // ECDSA: other bytes, the same said
    ASSERT_NE(signed_anew, first);
    log.append(signed_anew);
    EXPECT_EQ(states(), (States{"gap@4 open", "replay@8 open", "replay@9 open"}));
    EXPECT_EQ(only("replay@9").text, "the explanation at log index 6 once more");
}

TEST_F(ExplainAudit, WhatIsSeenAgainAfterwardsIsAnotherFinding) {
    auto nobody = [](pb::Statement &statement) { statement.mutable_workloads(0)->clear_tenant(); };
    say_changed(gpu1, nobody);
    say_changed(gpu1, nobody);
    log.append(auditor.explain(finding_name("unattributed", 0, log.entries()[0])));
    EXPECT_EQ(states(), States{"unattributed@0 explained"});
    EXPECT_TRUE(only("unattributed@0").text.ends_with("in 2 statements"));
    say_changed(gpu1, nobody);
    say_changed(gpu1, nobody);
    EXPECT_EQ(states(), (States{"unattributed@0 explained", "unattributed@3 open"}));
    EXPECT_TRUE(only("unattributed@0").text.ends_with("in 2 statements"));
    EXPECT_TRUE(only("unattributed@3").text.ends_with("in 2 statements"));
}

TEST_F(ExplainAudit, CoverageStaysExplainedUntilMoreTimeIsUncovered) {
    say(gpu1, 2);
    gpu1.reboot(7200 * kSecond);
    say(gpu1, 2);
    ASSERT_EQ(states(), (States{"gap@2 open", "coverage@2 open"}));
    for (const char *kind : {"gap", "coverage"})
        log.append(auditor.explain(finding_name(kind, 2, log.entries()[2])));
    say(gpu1, 20);
    EXPECT_EQ(states(), (States{"gap@2 explained", "coverage@2 explained"}));
    EXPECT_EQ(tally("verify " + log.directory()).status, 0);
    say_paused(gpu1);
    EXPECT_EQ(states(), (States{"gap@2 explained", "gap@26 open", "coverage@26 open"}));
}

TEST_F(ExplainAudit, SilenceIsNotExplainedBeforehand) {
    say(gpu1);
    say(gpu2);
    log.append(auditor.explain(finding_name("silence", 0, log.entries()[0])));
    say(gpu2, 100);
    EXPECT_EQ(states(), (States{"silence@0 open", "explanation@2 open"}));
    log.append(auditor.explain(finding_name("silence", 0, log.entries()[0]), "scrapped"));
    say(gpu2, 100);
    EXPECT_EQ(states(), (States{"silence@0 explained", "explanation@2 open"}));
}

// The last of a thousand stands for others, which nobody has named.
TEST_F(ExplainAudit, WhatStandsForMoreStaysOpen) {
    for (int i = 0; i < 1003; i++)
        say_paused(gpu1);
    for (uint64_t index : {998, 999})
        log.append(auditor.explain(finding_name("gap", index, log.entries()[index])));
    EXPECT_FALSE(only("gap@998").is_open());
    Finding last = only("gap@999");
    EXPECT_TRUE(last.text.ends_with("; and 3 more of this kind")) << last.text;
    EXPECT_TRUE(last.is_open());
    EXPECT_EQ(last.explanations, std::vector<uint64_t>{1004});
}

TEST_F(ExplainAudit, FromRunToRunTheSameAsAllAtOnce) {
    std::string state = keys.path("state");
    auto since = [&] {
        log.publish();
        auto source = Source::open(log.directory());
        auto taken = take_account_since(*source, trust(), state);
        EXPECT_TRUE(taken) << taken.error().message;
        taken->log.notes.clear();
        return *std::move(taken);
    };
    auto expect_same = [&](const char *when) {
        Account stepwise = since();
        EXPECT_EQ(verification_text(stepwise), verification_text(account())) << when;
        EXPECT_EQ(findings_csv(stepwise.findings), findings_csv(account().findings)) << when;
    };
    misbehave();
    expect_same("open");
    Bytes explanation = auditor.explain(gap());
    log.append(explanation);
    log.append(auditor.explain(finding_name("silence", 5, log.entries()[5])));
    expect_same("explained");
    say(gpu1, 400);
    expect_same("the silence that was explained beforehand");
    log.append(auditor.explain(gap(), "it was not", true));
    expect_same("withdrawn");
    log.append(explanation);
    expect_same("replayed");
    expect_same("nothing new");
    EXPECT_EQ(states(),
              (States{"gap@4 open", "silence@5 open", "explanation@7 open", "replay@409 open"}));

    Outcome older = tally("verify --state " + state + " " + log.directory());
    EXPECT_EQ(older.status, 1);
    EXPECT_NE(older.output.find("attestations and 4 explanations were verified before"),
              std::string::npos)
        << older.output;
    auto kept = load_state(state);
    ASSERT_TRUE(kept && *kept);
    (*kept)->clear_version();
    ASSERT_TRUE(save_state(state, **kept));
    older = tally("verify --state " + state + " " + log.directory());
    EXPECT_EQ(older.status, 2);
    EXPECT_NE(older.errors.find("another version of tally: remove it"), std::string::npos)
        << older.errors;
}

TEST_F(ExplainAudit, ABundleBringsWhatExplainsItsFindings) {
    misbehave();
    log.append(auditor.explain(gap()));
    say(gpu1);
    log.append(auditor.explain(gap(), "rather: a broken fan"));
    pb::FindingName elsewhere = finding_name("gap", 0, log.entries()[0]);
    log.append(auditor.explain(elsewhere)); // explains nothing
    log.publish();
    Outcome proved = tally("prove " + log.directory() + " --host gpu1.example");
    ASSERT_EQ(proved.status, 0) << proved.errors;
    std::string path = keys.path("bundle");
    write_all(path, view(proved.output));
    auto checked = check_bundle(path, keys.read("log.vkeys"), keys.read("fleet-ca.pem"));
    ASSERT_TRUE(checked) << checked.error().message;
    EXPECT_EQ(checked->entries, 6U); // four of gpu1, two explanations
    ASSERT_EQ(checked->explanations.size(), 2U);
    std::string text = bundle_text(*checked);
    EXPECT_NE(text.find("gap@4 of gpu1.example, sequence 3, at log index 8: explained by "
                        "auditor.example, 20"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find(": rather: a broken fan (OPS-1234)\n"), std::string::npos) << text;

    // gpu2's figures bring none of it; and no byte of the bundle can change.
    proved = tally("prove " + log.directory() + " --host gpu2.example");
    write_all(path, view(proved.output));
    checked = check_bundle(path, keys.read("log.vkeys"), keys.read("fleet-ca.pem"));
    ASSERT_TRUE(checked) << checked.error().message;
    EXPECT_TRUE(checked->explanations.empty());
}

TEST_F(ExplainAudit, ALogWithAnUnknownOrForgedEntryIsRefusedClearly) {
    misbehave();
    struct Case {
        Bytes entry;
        std::string says;
    };
    TestKeys others({"gpu1.example"});
    for (const auto &[entry, says] : std::vector<Case>{
             {auditor.sign(auditor.about(gap()), "application/vnd.later+json"),
              "log index 6: payload type \"application/vnd.later+json\" is none that this version "
              "knows"},
             {Explainer(others).explain(gap()),
              "log index 6: an explanation: signer's certificate: "},
             {auditor.explain(gap(), "two\nlines"),
              "log index 6: an explanation: why is not one line"},
             {Explainer(keys, "hosts/gpu1.example/signing").sign(auditor.about(gap())),
              "log index 6: an explanation: signature is not"},
         }) {
        log.entries().resize(6);
        log.append(entry);
        log.publish();
        EXPECT_NE(problem().find(says), std::string::npos) << problem();
        EXPECT_EQ(tally("findings " + log.directory()).status, 2);
        for (const std::string &name : files())
            std::filesystem::remove(path(name));
    }
}

// The command itself: what it writes counts.
TEST_F(ExplainAudit, WritesWhatCounts) {
    misbehave();
    log.publish();
    std::string signer = " --certificate " + keys.path("auditor/signing.pem") + " --key " +
                         keys.path("auditor/signing.key");
    std::string output = " --output " + keys.path("x.explanation");
    std::string good = "explain " + log.directory() + " gap@4 --why 'power maintenance'";
    Outcome written = tally(good + signer + output);
    ASSERT_EQ(written.status, 0) << written.errors;
    log.append(read_all(keys.path("x.explanation")));
    EXPECT_EQ(states(), States{"gap@4 explained"});

    struct Case {
        std::string command, says;
    };
    std::string host = " --certificate " + keys.path("hosts/gpu1.example/signing.pem") + " --key " +
                       keys.path("hosts/gpu1.example/signing.key");
    std::string mixed = " --certificate " + keys.path("auditor/signing.pem") + " --key " +
                        keys.path("hosts/gpu1.example/signing.key");
    for (const auto &[command, says] : std::vector<Case>{
             {"explain " + log.directory() + " gap@5 --why x" + signer + output,
              "has no finding gap@5: `tally findings` names"},
             {good + host + output, "is not for signing explanations"},
             {good + mixed + output, "signature is not that of its certificate's key"},
             {"explain " + log.directory() + " gap@4 --why \"$(printf 'a\\nb')\"" + signer + output,
              "the explanation why is not one line"},
             {"explain " + log.directory() + " gap@4" + signer + output, "explain needs LOG"},
             {good + signer, "explain needs --collector"},
             {"explain --submit " + keys.path("log.vkeys") +
                  " --collector localhost:1 --tls-certificate x --tls-key x",
              "not a DSSE envelope"},
             {good + signer + " --submit x --collector localhost:1", "leave LOG"},
         }) {
        Outcome refused = tally(command);
        EXPECT_EQ(refused.status, 2) << command;
        EXPECT_NE(refused.errors.find(says), std::string::npos)
            << command << ": " << refused.errors;
        EXPECT_EQ(std::count(refused.errors.begin(), refused.errors.end(), '\n'), 1)
            << refused.errors;
    }
}

} // namespace

} // namespace tally
