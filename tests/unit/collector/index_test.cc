#include "collector/index.h"

#include "base/durable.h"
#include "collector/replay.h"
#include "tests/unit/collector/support.h"
#include "tests/unit/support/explainer.h"

#include <filesystem>
#include <future>
#include <gtest/gtest.h>
#include <soci/soci-config.h>
#undef SOCI_HAVE_BOOST
#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>

namespace tally {
namespace {

// Every row of every table, as text, in a fixed order.
std::vector<std::string> dump(const std::string &path) {
    soci::session sql(soci::sqlite3, "db=\"" + path + "\"");
    std::vector<std::string> all;
    for (const char *query :
         {"SELECT version || '|' || size || '|' || root FROM log_state",
          "SELECT host || '|' || sequence || '|' || digest || '|' || boot_id || '|' ||"
          " begin_boottime_ns || '|' || end_boottime_ns || '|' || end_wall_ns || '|' || part ||"
          " '|' || parts || '|' || signing_key FROM hosts ORDER BY host",
          "SELECT host || '|' || device_index || '|' || device || '|' || model FROM devices"
          " ORDER BY 1",
          "SELECT log_index || '|' || host || '|' || sequence || '|' || begin_wall_ns || '|' ||"
          " end_wall_ns || '|' || begin_boottime_ns || '|' || end_boottime_ns FROM attestations"
          " ORDER BY log_index",
          "SELECT day || '|' || tenant || '|' || parent || '|' || host || '|' || device || '|' ||"
          " model || '|' || held_ns || '|' || attestations FROM held_by_day ORDER BY 1",
          "SELECT day || '|' || host || '|' || covered_ns || '|' || attested_ns || '|' ||"
          " attestations FROM coverage_by_day ORDER BY 1",
          "SELECT log_index || '|' || signed_digest || '|' || who || '|' || wall_ns || '|' || why"
          " || '|' || reference || '|' || withdrawn || '|' || findings FROM explanations"
          " ORDER BY log_index"}) {
        soci::rowset<std::string> rows = (sql.prepare << query);
        all.insert(all.end(), rows.begin(), rows.end());
    }
    return all;
}

void expect_same(const Hosts &a, const Hosts &b) {
    ASSERT_EQ(a.size(), b.size());
    for (const auto &[name, state] : a) {
        ASSERT_TRUE(b.contains(name));
        const HostState &other = b.at(name);
        const ChainHead &head = state.head;
        EXPECT_EQ(head.host, other.head.host);
        EXPECT_EQ(head.sequence, other.head.sequence);
        EXPECT_EQ(head.digest, other.head.digest);
        EXPECT_EQ(head.boot_id, other.head.boot_id);
        EXPECT_EQ(head.begin_boottime_ns, other.head.begin_boottime_ns);
        EXPECT_EQ(head.end_boottime_ns, other.head.end_boottime_ns);
        EXPECT_EQ(head.end_wall_ns, other.head.end_wall_ns);
        EXPECT_EQ(head.part, other.head.part);
        EXPECT_EQ(head.parts, other.head.parts);
        EXPECT_EQ(head.devices, other.head.devices);
        EXPECT_EQ(head.signing_key, other.head.signing_key);
        EXPECT_EQ(state.devices, other.devices);
    }
}

class SequencedTest : public testing::Test {
protected:
    TestKeys keys_{{"a.example", "b.example"}};
    FleetRoot root_ = FleetRoot::from_pem(keys_.read("fleet-ca.pem")).value();
    Scratch scratch_;
    std::string index_path_ = scratch_ / "index.db";
    Log lines_{"test"};
    TestHost a_ = keys_.host("a.example");
    TestHost b_ = keys_.host("b.example");

    Sequencer open() {
        auto index = Index::open(index_path_);
        EXPECT_TRUE(index) << index.error().message;
        auto log = TileLog::open(scratch_ / "log", keys_.log_signers(), index->size());
        EXPECT_TRUE(log) << log.error().message;
        auto hosts = catch_up(*index, *log);
        EXPECT_TRUE(hosts) << hosts.error().message;
        return {*std::move(log), *std::move(index),          index_path_, *std::move(hosts),
                lines_,          [this] { stopped_ = true; }};
    }

    static Sequencer::Welcome join(Sequencer &sequencer, const std::string &host, uint64_t stream) {
        std::promise<Sequencer::Joined> joined;
        sequencer.join(host, stream, 0,
                       [&](Sequencer::Joined answer) { joined.set_value(std::move(answer)); });
        return std::get<Sequencer::Welcome>(joined.get_future().get());
    }

    std::future<Sequencer::Verdict> submit(Sequencer &sequencer, const std::string &host,
                                           uint64_t stream, const Bytes &attestation,
                                           const Bytes &known_key = {}) {
        auto opened = open_attestation(attestation, known_key, root_);
        EXPECT_TRUE(std::holds_alternative<Opened>(opened)) << std::get<Breach>(opened).reason;
        auto verdict = std::make_shared<std::promise<Sequencer::Verdict>>();
        sequencer.submit(
            host, stream, std::get<Opened>(opened), attestation,
            [verdict](Sequencer::Verdict answer, bool) { verdict->set_value(std::move(answer)); });
        return verdict->get_future();
    }

    // 300 attestations of two hosts, with a reboot, a new inventory and a window in two parts.
    void fill() {
        Sequencer sequencer = open();
        uint64_t stream = 0;
        std::vector<std::future<Sequencer::Verdict>> verdicts;
        for (TestHost *host : {&a_, &b_}) {
            join(sequencer, host->name(), ++stream);
            for (int i = 0; i < 150; ++i) {
                if (i == 70)
                    host->reboot(TestHost::kSecond);
                pb::Statement statement = host->next();
                if (i == 100) {
                    *statement.mutable_inventory() = pb::Inventory();
                    pb::Device &device = *statement.mutable_inventory()->add_devices();
                    device.set_index(statement.usage(0).device());
                    device.set_id("pci:0000:3b:00.0");
                }
                statement.mutable_workloads(0)->set_parent(i % 2 == 0 ? "middleman" : "");
                if (i == 149)
                    statement.set_parts(2); // the chain rests in the middle of a window
                Bytes attestation = host->attest(statement);
                if (first_.empty())
                    first_ = attestation;
                verdicts.push_back(submit(sequencer, host->name(), stream, attestation,
                                          host->key().verifying_key().spki()));
            }
        }
        for (auto &verdict : verdicts)
            ASSERT_TRUE(std::holds_alternative<pb::Receipt>(verdict.get()));
        explain(sequencer);
    }
    // And two explanations, which belong to no host.
    void explain(Sequencer &sequencer) {
        Explainer auditor(keys_);
        for (bool withdrawn : {false, true}) {
            Bytes entry = auditor.explain(finding_name("gap", 0, first_), "a test", withdrawn);
            auto opened = open_explanation(entry, root_);
            ASSERT_TRUE(std::holds_alternative<OpenedExplanation>(opened));
            std::promise<Sequencer::Verdict> verdict;
            sequencer.explain(
                std::get<OpenedExplanation>(opened), entry,
                [&](Sequencer::Verdict answer) { verdict.set_value(std::move(answer)); });
            ASSERT_TRUE(std::holds_alternative<pb::Receipt>(verdict.get_future().get()));
        }
    }

    Bytes first_; // of the log
    bool stopped_ = false;
};

TEST_F(SequencedTest, ADeletedIndexComesBackTheSame) {
    fill();
    auto before = dump(index_path_);
    EXPECT_GT(before.size(), 302U);
    auto hosts_before = Index::open(index_path_)->hosts();
    ASSERT_TRUE(hosts_before);

    for (const auto &entry : std::filesystem::directory_iterator(scratch_.path())) {
        if (entry.path().filename().string().starts_with("index.db"))
            std::filesystem::remove(entry.path());
    }
    open();
    EXPECT_EQ(dump(index_path_), before);
    auto hosts_after = Index::open(index_path_)->hosts();
    ASSERT_TRUE(hosts_after);
    expect_same(*hosts_before, *hosts_after);
}

TEST_F(SequencedTest, ReindexReplacesWhateverIsThereByTheSame) {
    fill();
    auto before = dump(index_path_);
    auto held = Index::open(index_path_)->held({});
    auto coverage = Index::open(index_path_)->coverage({});
    ASSERT_TRUE(held && coverage);
    for (const char *what : {"index.db", "index.db-wal", "index.db.new"}) {
        ASSERT_TRUE(replace_file(scratch_ / what, Bytes(8192, 'x'))) << what;
        auto log = TileLog::open(scratch_ / "log", keys_.log_signers(), 0);
        ASSERT_TRUE(log);
        auto made = reindex(index_path_, *log);
        ASSERT_TRUE(made) << made.error().message;
        EXPECT_EQ(*made, 302U);
        EXPECT_EQ(dump(index_path_), before);
        EXPECT_EQ(Index::open(index_path_)->held({}).value(), *held);
        EXPECT_EQ(Index::open(index_path_)->coverage({}).value(), *coverage);
        EXPECT_FALSE(std::filesystem::exists(scratch_ / "index.db.new"));
    }
}

TEST_F(SequencedTest, TheDaysAddUpToWhatTheAttestationsSay) {
    fill();
    soci::session sql(soci::sqlite3, "db=\"" + index_path_ + "\"");
    long long of_days = 0, covered = 0, attested = 0, attestations = 0;
    sql << "SELECT SUM(held_ns) FROM held_by_day", soci::into(of_days);
    long long held = static_cast<long long>(a_.next().usage(0).held_ns());
    EXPECT_EQ(of_days, 300 * held);
    sql << "SELECT SUM(covered_ns), SUM(attested_ns), SUM(attestations) FROM coverage_by_day",
        soci::into(covered), soci::into(attested), soci::into(attestations);
    EXPECT_EQ(attestations, 300);
    EXPECT_EQ(attested, 2 * 150 * static_cast<long long>(TestHost::kWindow));
    EXPECT_EQ(covered, attested);

    auto index = Index::open(index_path_);
    ASSERT_TRUE(index);
    uint64_t day = a_.next().window().begin_wall_ns() / 86'400'000'000'000;
    std::string today = day_text(day);
    std::string all = index->held({}).value();
    EXPECT_NE(all.find(",acme,,a.example,node:/dev/test0,stand-in,"), std::string::npos) << all;
    EXPECT_EQ(index->held({0, INT64_MAX, "acme"}).value(), all);
    EXPECT_EQ(index->held({0, INT64_MAX, "nobody"}).value(), all.substr(0, all.find('\n') + 1));
    EXPECT_EQ(index->held({day + 2, INT64_MAX, ""}).value(), all.substr(0, all.find('\n') + 1));
    EXPECT_EQ(index->held({0, day + 1, ""}).value(), all);
    EXPECT_EQ(index->held({0, day - 1, ""}).value(), all.substr(0, all.find('\n') + 1));
}

TEST(Days, AreReadStrictly) {
    EXPECT_EQ(parse_day("1970-01-01").value(), 0U);
    EXPECT_EQ(parse_day("2026-11-25").value(), 20782U);
    EXPECT_EQ(day_text(20782), "2026-11-25");
    for (const char *text : {"", "2026-11-31", "2026-13-01", "26-11-25", "2026-11-25 ",
                             "+026-11-25", "1969-12-31", "2026/11/25", "2026-1-025"})
        EXPECT_FALSE(parse_day(text)) << text;
}

TEST_F(SequencedTest, AnIndexLeftBehindCatchesUp) {
    {
        Sequencer sequencer = open();
        join(sequencer, "a.example", 1);
        Bytes key = a_.key().verifying_key().spki();
        for (int i = 0; i < 3; ++i)
            submit(sequencer, "a.example", 1, a_.attest(), key).wait();
    }
    // As after a crash between publication and index: the log went on, this copy did not.
    std::filesystem::copy_file(index_path_, scratch_ / "old.db");
    {
        Sequencer sequencer = open();
        join(sequencer, "a.example", 1);
        Bytes key = a_.key().verifying_key().spki();
        for (int i = 0; i < 300; ++i)
            submit(sequencer, "a.example", 1, a_.attest(), key);
    }
    auto before = dump(index_path_);
    std::filesystem::rename(scratch_ / "old.db", index_path_);
    {
        Sequencer sequencer = open();
        EXPECT_EQ(join(sequencer, "a.example", 1).last_sequence, 303U);
    }
    EXPECT_EQ(dump(index_path_), before);
}

TEST_F(SequencedTest, AnIndexOfAnotherLogIsNotBelieved) {
    fill();
    auto index = Index::open(index_path_);
    auto log = TileLog::open(scratch_ / "log", keys_.log_signers(), 0);
    ASSERT_TRUE(index && log);
    EXPECT_TRUE(belongs_to(*index, *log).value());
    Digest other{};
    ASSERT_TRUE(index->add({}, {}, log->size(), other));
    auto reopened = Index::open(index_path_);
    ASSERT_TRUE(reopened);
    EXPECT_FALSE(belongs_to(*reopened, *log).value());
}

TEST_F(SequencedTest, AFileThatIsNoIndexIsNamed) {
    ASSERT_TRUE(replace_file(index_path_, Bytes(8192, 'x')));
    auto index = Index::open(index_path_);
    ASSERT_FALSE(index);
    EXPECT_NE(index.error().message.find(index_path_), std::string::npos);
    EXPECT_NE(index.error().message.find("delete it"), std::string::npos);
}

TEST_F(SequencedTest, AnIndexThatFailsNeitherStopsTheLogNorStaysBehind) {
    Sequencer sequencer = open();
    Bytes key = a_.key().verifying_key().spki();
    join(sequencer, "a.example", 1);
    Bytes first = a_.attest();
    {
        soci::session other(soci::sqlite3, "db=\"" + index_path_ + "\"");
        other << "BEGIN EXCLUSIVE";
        auto verdict = submit(sequencer, "a.example", 1, first, key).get();
        EXPECT_TRUE(std::holds_alternative<pb::Receipt>(verdict));
        other << "ROLLBACK";
    }
    submit(sequencer, "a.example", 1, a_.attest(), key).wait();
    std::promise<Sequencer::Receipts> asked;
    sequencer.receipts("a.example", 1, 1, 10,
                       [&](Sequencer::Receipts answer) { asked.set_value(std::move(answer)); });
    auto receipts = asked.get_future().get();
    ASSERT_TRUE(std::holds_alternative<std::vector<pb::Receipt>>(receipts));
    auto &list = std::get<std::vector<pb::Receipt>>(receipts);
    ASSERT_EQ(list.size(), 2U);
    EXPECT_TRUE(check_receipt(list[0], leaf_hash(first), keys_.log_keys()));
    EXPECT_FALSE(stopped_);
}

TEST_F(SequencedTest, AnotherKeyCannotSlipInWhileTheFirstIsOnItsWay) {
    // Opened before the log knew any key of the host: only the sequencer can object.
    Sequencer sequencer = open();
    join(sequencer, "a.example", 1);
    auto first = submit(sequencer, "a.example", 1, a_.attest());
    TestKeys again({"a.example"});
    ASSERT_TRUE(std::holds_alternative<pb::Receipt>(first.get()));
    pb::Statement second = a_.next();
    Bytes bytes = a_.attest(second);
    Opened opened{second, sha256(bytes), again.signing_key("a.example").verifying_key().spki()};
    std::promise<Sequencer::Verdict> answer;
    sequencer.submit("a.example", 1, opened, bytes, [&](Sequencer::Verdict verdict, bool) {
        answer.set_value(std::move(verdict));
    });
    auto verdict = answer.get_future().get();
    ASSERT_TRUE(std::holds_alternative<Breach>(verdict));
    EXPECT_EQ(std::get<Breach>(verdict).code, pb::Refusal::CODE_BAD_CERTIFICATE);
}

TEST_F(SequencedTest, AfterARefusalNothingMoreOfTheStreamIsTaken) {
    Sequencer sequencer = open();
    join(sequencer, "a.example", 1);
    Bytes key = a_.key().verifying_key().spki();
    Bytes first = a_.attest(), second = a_.attest();
    submit(sequencer, "a.example", 1, first).wait();
    auto replayed = submit(sequencer, "a.example", 1, first);
    auto after = submit(sequencer, "a.example", 1, second, key);
    EXPECT_TRUE(std::holds_alternative<Breach>(replayed.get()));
    EXPECT_TRUE(std::holds_alternative<TurnedAway>(after.get()));
    EXPECT_EQ(join(sequencer, "a.example", 2).last_sequence, 1U);
    auto anew = submit(sequencer, "a.example", 2, second, key);
    EXPECT_TRUE(std::holds_alternative<pb::Receipt>(anew.get()));
}

TEST_F(SequencedTest, AFailedWriteStopsTheSequencerAndLosesNothingReceipted) {
    {
        Sequencer sequencer = open();
        join(sequencer, "a.example", 1);
        Bytes key = a_.key().verifying_key().spki();
        submit(sequencer, "a.example", 1, a_.attest()).wait();
        // The next entry bundle cannot be renamed into place: a directory is in its way.
        std::filesystem::create_directories(scratch_ / "log/tile/entries/000.p/2/in the way");
        auto verdict = submit(sequencer, "a.example", 1, a_.attest(), key).get();
        EXPECT_TRUE(std::holds_alternative<TurnedAway>(verdict));
        auto later = submit(sequencer, "a.example", 1, a_.attest(), key).get();
        EXPECT_TRUE(std::holds_alternative<TurnedAway>(later));
        sequencer.stop();
        EXPECT_TRUE(stopped_);
    }
    std::filesystem::remove_all(scratch_ / "log/tile/entries/000.p/2");
    Sequencer sequencer = open();
    EXPECT_EQ(join(sequencer, "a.example", 1).last_sequence, 1U);
}

} // namespace
} // namespace tally
