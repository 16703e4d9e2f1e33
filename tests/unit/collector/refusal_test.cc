// Whom and what the collector turns away, and that it answers what came before.
#include "base/durable.h"
#include "collector/intake.h"

#include "tests/unit/collector/intake_rig.h"

#include <cstdlib>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>

namespace tally {
namespace {

TEST_F(IntakeTest, RefusesAStatementThatNamesAnotherHost) {
    ASSERT_TRUE(stream_.hello());
    TestHost other = keys_.host("host2.example");
    ASSERT_TRUE(stream_.send(other.attest()));
    auto refusal = stream_.expect_refusal(pb::Refusal::CODE_WRONG_HOST);
    EXPECT_EQ(refusal.sequence(), 1U);
    EXPECT_TRUE(logged().empty());
}

TEST_F(IntakeTest, RefusesAReplay) {
    ASSERT_TRUE(stream_.hello());
    Bytes first = host_.attest();
    ASSERT_TRUE(stream_.send(first));
    ASSERT_TRUE(stream_.send(first));
    stream_.expect_receipt(first, 1, log_keys_);
    EXPECT_EQ(stream_.expect_refusal(pb::Refusal::CODE_REPLAYED).sequence(), 1U);
    EXPECT_EQ(logged().size(), 1U);
}

TEST_F(IntakeTest, RefusesASkippedSequence) {
    ASSERT_TRUE(stream_.hello());
    Bytes first = host_.attest();
    host_.attest();
    ASSERT_TRUE(stream_.send(first));
    ASSERT_TRUE(stream_.send(host_.attest()));
    stream_.expect_receipt(first, 1, log_keys_);
    EXPECT_EQ(stream_.expect_refusal(pb::Refusal::CODE_SKIPPED).sequence(), 3U);
}

TEST_F(IntakeTest, RefusesAnotherPrevious) {
    ASSERT_TRUE(stream_.hello());
    Bytes first = host_.attest();
    pb::Statement second = host_.next();
    second.set_previous(std::string(32, 'x'));
    ASSERT_TRUE(stream_.send(first));
    ASSERT_TRUE(stream_.send(host_.attest(second)));
    stream_.expect_receipt(first, 1, log_keys_);
    stream_.expect_refusal(pb::Refusal::CODE_BROKEN_CHAIN);
}

TEST_F(IntakeTest, RefusesHeldTimeAboveTheWindow) {
    ASSERT_TRUE(stream_.hello());
    pb::Statement statement = host_.next();
    statement.mutable_usage(0)->set_held_ns(11 * TestHost::kSecond);
    ASSERT_TRUE(stream_.send(host_.attest(statement)));
    stream_.expect_refusal(pb::Refusal::CODE_IMPOSSIBLE);
}

TEST_F(IntakeTest, RefusesAForeignSignatureAndKeepsWhatCameBefore) {
    ASSERT_TRUE(stream_.hello());
    std::vector<Bytes> sent = {host_.attest(), host_.attest()};
    // Signed with a key that is not the chain's: host2's.
    TestHost forger(kHost, keys_.signing_key("host2.example"), keys_.certificate("host2.example"));
    for (const Bytes &each : sent)
        ASSERT_TRUE(stream_.send(each));
    ASSERT_TRUE(stream_.send(forger.attest(host_.next())));
    stream_.expect_receipt(sent[0], 1, log_keys_);
    stream_.expect_receipt(sent[1], 2, log_keys_);
    EXPECT_EQ(stream_.expect_refusal(pb::Refusal::CODE_BAD_SIGNATURE).sequence(), 3U);
    EXPECT_TRUE(logged() == sent);
}

TEST_F(IntakeTest, RefusesASigningCertificateOfAnotherHost) {
    ASSERT_TRUE(stream_.hello());
    TestHost forger(kHost, keys_.signing_key("host2.example"), keys_.certificate("host2.example"));
    ASSERT_TRUE(stream_.send(forger.attest()));
    stream_.expect_refusal(pb::Refusal::CODE_BAD_CERTIFICATE);
}

TEST_F(IntakeTest, RefusesAnAttestationAbove65535Bytes) {
    ASSERT_TRUE(stream_.hello());
    ASSERT_TRUE(stream_.send(Bytes(65536, 'x')));
    stream_.expect_refusal(pb::Refusal::CODE_MALFORMED);
}

TEST_F(IntakeTest, EndsTheStreamOnAMessageAboveTheTransportLimit) {
    ASSERT_TRUE(stream_.hello());
    stream_.send(Bytes(Intake::kMaxMessage + 1, 'x'));
    EXPECT_FALSE(stream_.read());
    EXPECT_EQ(stream_.finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(IntakeTest, RefusesAnAttestationBeforeHello) {
    ASSERT_TRUE(stream_.send(host_.attest()));
    stream_.expect_refusal(pb::Refusal::CODE_PROTOCOL);
}

TEST_F(IntakeTest, RefusesAnEmptyAttestation) {
    ASSERT_TRUE(stream_.hello());
    ASSERT_TRUE(stream_.send(Bytes()));
    stream_.expect_refusal(pb::Refusal::CODE_MALFORMED);
}

TEST_F(IntakeTest, AnswersWhatCameBeforeAMessageThatIsWrong) {
    ASSERT_TRUE(stream_.hello());
    std::vector<Bytes> sent;
    for (int i = 0; i < 10; ++i)
        ASSERT_TRUE(stream_.send(sent.emplace_back(host_.attest())));
    ASSERT_TRUE(stream_.send(pb::AttestRequest()));
    for (uint64_t i = 0; i < 10; ++i)
        stream_.expect_receipt(sent[i], i + 1, log_keys_);
    stream_.expect_refusal(pb::Refusal::CODE_PROTOCOL);
}

TEST_F(IntakeTest, RefusesASecondHelloAndAnEmptyMessage) {
    ASSERT_TRUE(stream_.hello());
    EXPECT_FALSE(stream_.hello());
    EXPECT_TRUE(stream_.finish().ok());
    TestStream other(collector_.port(), keys_);
    ASSERT_TRUE(other.hello());
    ASSERT_TRUE(other.send(pb::AttestRequest()));
    other.expect_refusal(pb::Refusal::CODE_PROTOCOL);
}

TEST_F(IntakeTest, RefusesBytesThatAreNoMessage) {
    auto identity = TestStream::identity(keys_);
    grpc::SslCredentialsOptions tls{identity.trust, identity.key, identity.certificate};
    grpc::GenericStub stub(grpc::CreateChannel("127.0.0.1:" + std::to_string(collector_.port()),
                                               grpc::SslCredentials(tls)));
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    auto call = stub.PrepareCall(&context, "/tallystick.v1.Ledger/Attest", &queue);
    auto wait = [&queue] {
        void *tag = nullptr;
        bool good = false;
        queue.Next(&tag, &good);
        return good;
    };
    call->StartCall(nullptr);
    ASSERT_TRUE(wait());
    grpc::Slice garbage("\x0a\xff\xff\xff", 4); // a field longer than the message
    call->Write(grpc::ByteBuffer(&garbage, 1), nullptr);
    ASSERT_TRUE(wait());
    grpc::ByteBuffer answer;
    call->Read(&answer, nullptr);
    ASSERT_TRUE(wait());
    pb::AttestReply reply;
    ASSERT_TRUE(grpc::SerializationTraits<pb::AttestReply>::Deserialize(&answer, &reply).ok());
    EXPECT_EQ(reply.refusal().code(), pb::Refusal::CODE_MALFORMED);
    grpc::Status status;
    call->Finish(&status, nullptr);
    wait();
    EXPECT_TRUE(status.ok());
}

TEST_F(IntakeTest, RefusesATlsCertificateWithTwoNames) {
    std::string directory = scratch_ / "two";
    std::string command =
        "mkdir " + directory + " && openssl req -x509 -newkey ec -pkeyopt" +
        " ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=two -CA " + keys_.path("fleet-ca.pem") +
        " -CAkey " + keys_.path("fleet-ca.key") +
        " -addext subjectAltName=DNS:gpu1.example,DNS:host2.example -addext"
        " extendedKeyUsage=clientAuth -addext basicConstraints=critical,CA:FALSE -out " +
        directory + "/tls.pem -keyout " + directory + "/tls.key 2>" + directory + "/log";
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
    TestStream stream(collector_.port(),
                      {read_text(directory + "/tls.pem").value(),
                       read_text(directory + "/tls.key").value(), keys_.read("fleet-ca.pem")});
    stream.expect_refusal(pb::Refusal::CODE_BAD_CERTIFICATE);
}

TEST_F(IntakeTest, TurnsAwayWhoeverHasNoCertificateOfTheFleet) {
    TestKeys foreign, expired({kHost}, {"--expired"});
    auto stranger = TestStream::identity(foreign);
    stranger.trust = keys_.read("fleet-ca.pem");
    auto late = TestStream::identity(expired);
    late.trust = keys_.read("fleet-ca.pem");
    for (const auto &identity :
         {TestStream::Identity{"", "", keys_.read("fleet-ca.pem")}, stranger, late}) {
        TestStream stream(collector_.port(), identity);
        EXPECT_FALSE(stream.hello());
        EXPECT_EQ(stream.finish().error_code(), grpc::StatusCode::UNAVAILABLE);
    }
    // A signing key is not a TLS key.
    TestStream signer(collector_.port(),
                      {keys_.read("hosts/gpu1.example/signing.pem"),
                       keys_.read("hosts/gpu1.example/signing.key"), keys_.read("fleet-ca.pem")});
    EXPECT_FALSE(signer.hello());
}

} // namespace
} // namespace tally
