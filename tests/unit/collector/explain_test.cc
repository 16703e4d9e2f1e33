// Explanations at the collector, brought by the `tally` program over real TLS: logged durably,
// receipted, once; and what the collector then says of its log is what the auditor says.
#include "base/durable.h"
#include "collector/replay.h"
#include "tests/unit/collector/program.h"
#include "tests/unit/collector/support.h"
#include "tests/unit/support/explainer.h"

#include <cstdlib>
#include <filesystem>
#include <grpcpp/create_channel.h>
#include <sys/wait.h>

namespace tally {
namespace {

class ExplainTest : public testing::Test {
protected:
    // A second boot after an hour: a gap, log index 3.
    void SetUp() override {
        TestCollector collector(keys_, state_);
        send(collector, 3);
        host_.reboot(3600 * TestHost::kSecond);
        send(collector, 2);
        collector.stop();
        gap_ = finding_name("gap", 3, entries()[3]);
    }
    void send(TestCollector &collector, int count) {
        TestStream stream(collector.port(), keys_);
        ASSERT_TRUE(stream.hello(host_.sequence() + 1));
        for (int i = 0; i < count; i++) {
            Bytes attestation = host_.attest();
            ASSERT_TRUE(stream.send(attestation));
            stream.expect_receipt(attestation, host_.sequence(), keys_.log_keys());
        }
    }
    std::vector<Bytes> entries() const { return log_entries(keys_, state_ + "/log"); }

    // Of the service itself, with this TLS identity.
    struct Answer {
        grpc::Status status;
        pb::ExplainReply reply;
    };
    Answer ask(TestCollector &collector, const Bytes &entry) {
        TestStream::Identity identity{keys_.read("auditor/tls.pem"), keys_.read("auditor/tls.key"),
                                      keys_.read("fleet-ca.pem")};
        grpc::SslCredentialsOptions tls;
        tls.pem_root_certs = identity.trust;
        tls.pem_cert_chain = identity.certificate;
        tls.pem_private_key = identity.key;
        auto stub = pb::Ledger::NewStub(grpc::CreateChannel(
            "127.0.0.1:" + std::to_string(collector.port()), grpc::SslCredentials(tls)));
        grpc::ClientContext context;
        context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
        pb::ExplainRequest request;
        request.set_explanation(entry.data(), entry.size());
        Answer answer;
        answer.status = stub->Explain(&context, request, &answer.reply);
        return answer;
    }
    void refused(TestCollector &collector, const Bytes &entry, pb::Refusal::Code code,
                 const std::string &says) {
        Answer answer = ask(collector, entry);
        ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
        ASSERT_TRUE(answer.reply.has_refusal()) << says;
        EXPECT_EQ(pb::Refusal::Code_Name(answer.reply.refusal().code()),
                  pb::Refusal::Code_Name(code));
        EXPECT_NE(answer.reply.refusal().reason().find(says), std::string::npos)
            << answer.reply.refusal().reason();
    }
    uint64_t taken(TestCollector &collector, const Bytes &entry) {
        Answer answer = ask(collector, entry);
        EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
        EXPECT_TRUE(answer.reply.has_receipt()) << answer.reply.refusal().reason();
        auto checked = check_receipt(answer.reply.receipt(), leaf_hash(entry), keys_.log_keys());
        EXPECT_TRUE(checked) << checked.error().message;
        EXPECT_EQ(answer.reply.receipt().sequence(), 0U);
        return answer.reply.receipt().index();
    }

    struct Outcome {
        int status;
        std::string output;
        std::string errors;
    };
    Outcome tally(const std::string &command) {
        int status =
            std::system((built("tally") + " " + command + " --log-keys " + keys_.path("log.vkeys") +
                         " --fleet-root " + keys_.path("fleet-ca.pem") + " >" + (scratch_ / "out") +
                         " 2>" + (scratch_ / "err"))
                            .c_str());
        return {WEXITSTATUS(status), read_text(scratch_ / "out").value(),
                read_text(scratch_ / "err").value()};
    }
    std::string signer() const {
        return " --certificate " + keys_.path("auditor/signing.pem") + " --key " +
               keys_.path("auditor/signing.key");
    }
    std::string collector_at(int port, const std::string &tls = "auditor/tls") const {
        return " --collector localhost:" + std::to_string(port) + " --tls-certificate " +
               keys_.path(tls + ".pem") + " --tls-key " + keys_.path(tls + ".key");
    }

    // What the collector's index says, and what an auditor says of the log.
    std::string by_collector() const {
        auto index = Index::open(state_ + "/index.db");
        EXPECT_TRUE(index) << index.error().message;
        EXPECT_EQ(index->judged().value(), index->size());
        auto rows = index->findings();
        EXPECT_TRUE(rows) << rows.error().message;
        std::vector<Finding> findings;
        for (const auto &[at, finding] : *rows)
            findings.push_back(finding);
        return findings_csv(findings);
    }
    std::string by_auditor() { return tally("findings --csv " + state_ + "/log").output; }

    TestKeys keys_;
    Scratch scratch_;
    std::string state_ = scratch_ / "state";
    TestHost host_ = keys_.host(kHost);
    Explainer auditor_{keys_};
    pb::FindingName gap_;
};

TEST_F(ExplainTest, FromFindingToReceiptWithTheProgramsThemselves) {
    std::string copy = scratch_ / "copy";
    std::filesystem::copy(state_ + "/log", copy, std::filesystem::copy_options::recursive);
    ASSERT_EQ(tally("findings " + copy).status, 1);
    {
        TestCollector collector(keys_, state_);
        Outcome explained =
            tally("explain " + copy + " gap@3 coverage@3 --why 'power maintenance'" + signer() +
                  collector_at(collector.port()));
        EXPECT_EQ(explained.status, 0) << explained.errors;
        EXPECT_EQ(explained.output, "logged at index 5; the receipt is signed by the log's keys\n");
        send(collector, 1); // the chain goes on over it
        collector.stop();
    }
    EXPECT_EQ(tally("findings " + state_ + "/log").status, 0);
    EXPECT_NE(by_collector().find("gap@3,explained,auditor.example,"), std::string::npos)
        << by_collector();
    EXPECT_EQ(by_collector(), by_auditor());
}

TEST_F(ExplainTest, MadeOfflineAndSentByAnotherOnceOnly) {
    std::string file = scratch_ / "gap.explanation";
    ASSERT_EQ(tally("explain " + state_ + "/log gap@3 --why 'power maintenance' --output " + file +
                    signer())
                  .status,
              0);
    // The sender needs a certificate of the fleet for TLS; a host's will do.
    TestCollector collector(keys_, state_);
    for (int i = 0; i < 2; i++) {
        Outcome sent = tally("explain --submit " + file +
                             collector_at(collector.port(), "hosts/gpu1.example/tls"));
        EXPECT_EQ(sent.status, 0) << sent.errors;
        EXPECT_EQ(sent.output, "logged at index 5; the receipt is signed by the log's keys\n");
    }
    collector.stop();
    EXPECT_EQ(entries().size(), 6U);

    Outcome nobody = tally("explain --submit " + file + collector_at(1));
    EXPECT_EQ(nobody.status, 2);
    EXPECT_NE(nobody.errors.find("localhost:1: "), std::string::npos) << nobody.errors;
    TestCollector again(keys_, state_);
    TestKeys strangers;
    Outcome stranger = tally("explain --submit " + file +
                             " --collector localhost:" + std::to_string(again.port()) +
                             " --tls-certificate " + strangers.path("auditor/tls.pem") +
                             " --tls-key " + strangers.path("auditor/tls.key"));
    EXPECT_EQ(stranger.status, 2) << stranger.output;
    EXPECT_EQ(std::count(stranger.errors.begin(), stranger.errors.end(), '\n'), 1)
        << stranger.errors;
}

TEST_F(ExplainTest, RefusesWhatMayNotOrCannotExplain) {
    TestCollector collector(keys_, state_);
    refused(collector, Explainer(keys_, "hosts/gpu1.example/signing").explain(gap_),
            pb::Refusal::CODE_BAD_CERTIFICATE, "not for signing explanations");
    refused(collector, Explainer(TestKeys()).explain(gap_), pb::Refusal::CODE_BAD_CERTIFICATE,
            "certificate: ");
    refused(collector, Explainer(keys_, "hosts/gpu1.example/signing").sign(auditor_.about(gap_)),
            pb::Refusal::CODE_BAD_SIGNATURE, "signature");
    refused(collector, auditor_.explain(gap_, "a\x1b[2J"), pb::Refusal::CODE_MALFORMED, "why");
    refused(collector, Bytes(70'000, 'x'), pb::Refusal::CODE_MALFORMED, "65,535");
    refused(collector, {}, pb::Refusal::CODE_MALFORMED, "payload type");
    refused(collector, host_.attest(), pb::Refusal::CODE_MALFORMED, "payload type");
    pb::FindingName ahead = gap_, other = gap_, host = gap_, sequence = gap_;
    ahead.set_log_index(5);
    other.mutable_entry()->front() ^= 1;
    host.set_host("gpu2.example");
    sequence.set_sequence(3);
    for (const auto &name : {ahead, other, host, sequence})
        refused(collector, auditor_.explain(name), pb::Refusal::CODE_UNKNOWN_ENTRY,
                "the log holds no such entry");
    collector.stop();
    EXPECT_EQ(entries().size(), 5U);
}

TEST_F(ExplainTest, SurvivesRestartsAndALostIndex) {
    Bytes first = auditor_.explain(gap_);
    Bytes withdrawal = auditor_.explain(gap_, "it was not", true);
    pb::FindingName none = finding_name("fork", 1, entries()[1]);
    {
        TestCollector collector(keys_, state_);
        EXPECT_EQ(taken(collector, first), 5U);
        EXPECT_EQ(taken(collector, withdrawal), 6U);
        EXPECT_EQ(taken(collector, auditor_.explain(none)), 7U);
        collector.stop();
    }
    std::string found = by_collector();
    EXPECT_EQ(found, by_auditor());
    EXPECT_NE(found.find("explanation,auditor.example,0,7,\"explains fork@1"), std::string::npos)
        << found;
    EXPECT_NE(found.find("gap@3,open,,,,,5 6\n"), std::string::npos) << found;

    for (bool lost : {false, true}) {
        if (lost)
            std::filesystem::remove(state_ + "/index.db");
        TestCollector collector(keys_, state_);
        EXPECT_EQ(taken(collector, first), 5U); // neither twice, nor does it count again
        send(collector, 1);
        collector.stop();
        EXPECT_EQ(by_collector(), by_auditor());
    }
    EXPECT_EQ(entries().size(), 10U);

    found = by_collector();
    auto log = TileLog::open(state_ + "/log", keys_.log_signers(), 0);
    ASSERT_TRUE(log);
    auto made = reindex(state_ + "/index.db", *log);
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(by_collector(), found);
}

TEST_F(ExplainTest, IsSaidAgainWithOtherBytesAndLoggedOnce) {
    pb::Explanation explanation = auditor_.about(gap_);
    TestCollector collector(keys_, state_);
    Bytes one = auditor_.sign(explanation), other = auditor_.sign(explanation);
    ASSERT_NE(one, other);
    EXPECT_EQ(taken(collector, one), 5U);
    Answer answer = ask(collector, other);
    ASSERT_TRUE(answer.reply.has_receipt());
    EXPECT_EQ(answer.reply.receipt().index(), 5U); // of the one that is there
    collector.stop();
    EXPECT_EQ(entries().size(), 6U);
}

} // namespace
} // namespace tally
