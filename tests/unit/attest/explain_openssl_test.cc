// Explanations: whose keys may sign them, and what they must look like.
#include "attest/dsse.h"
#include "attest/envelope.pb.h"
#include "attest/explain.h"
#include "tests/unit/support/explainer.h"

#include <cstdlib>
#include <fstream>
#include <functional>

namespace tally {
namespace {

constexpr const char *kHost = "gpu1.example";
constexpr const char *kHostKey = "hosts/gpu1.example/signing";

FleetRoot root_of(const TestKeys &keys) {
    auto root = FleetRoot::from_pem(keys.read("fleet-ca.pem"));
    EXPECT_TRUE(root);
    return std::move(*root);
}

class ExplanationTest : public testing::Test {
protected:
    ExplanationTest() : root_(root_of(keys_)) {}

    void expect_refused(ByteView entry, pb::Refusal::Code code, const std::string &says) {
        auto result = open_explanation(entry, root_);
        auto *breach = std::get_if<Breach>(&result);
        ASSERT_NE(breach, nullptr) << "taken: " << says;
        EXPECT_EQ(pb::Refusal::Code_Name(breach->code), pb::Refusal::Code_Name(code));
        EXPECT_NE(breach->reason.find(says), std::string::npos) << breach->reason;
    }
    void expect_malformed(const std::function<void(pb::Explanation &)> &change,
                          const std::string &says) {
        pb::Explanation explanation = auditor_.about(name_);
        change(explanation);
        expect_refused(auditor_.sign(explanation), pb::Refusal::CODE_MALFORMED, says);
    }
    // The auditor's key, certified by openssl with this subject and these extended key usages.
    Explainer certified(const std::string &subject, const std::string &usages) {
        std::ofstream(keys_.path("ext"))
            << "keyUsage=digitalSignature\nextendedKeyUsage=" + usages + "\n";
        std::string command =
            "cd " + keys_.directory() + " && openssl req -new -key auditor/signing.key -subj '" +
            subject + "' -out x.csr 2>/dev/null && openssl x509 -req -in x.csr -CA fleet-ca.pem " +
            "-CAkey fleet-ca.key -extfile ext -days 2 -set_serial 7 -out x.pem 2>/dev/null" +
            " && cp auditor/signing.key x.key";
        EXPECT_EQ(std::system(command.c_str()), 0);
        return Explainer(keys_, "x");
    }

    TestKeys keys_;
    FleetRoot root_;
    Explainer auditor_{keys_};
    TestHost host_ = keys_.host(kHost);
    Bytes attestation_ = host_.attest();
    pb::FindingName name_ = finding_name("gap", 3, attestation_);
};

TEST_F(ExplanationTest, AnAuditorsIsTakenAndSaysWho) {
    Bytes entry = auditor_.explain(name_);
    auto opened = open_explanation(entry, root_);
    ASSERT_TRUE(std::holds_alternative<OpenedExplanation>(opened))
        << std::get<Breach>(opened).reason;
    const auto &said = std::get<OpenedExplanation>(opened);
    EXPECT_EQ(said.who, "auditor.example");
    EXPECT_EQ(said.digest, sha256(entry));
    EXPECT_EQ(said.explanation.why(), "power maintenance");
}

TEST_F(ExplanationTest, AHostsKeyCannotExplainNorATlsKey) {
    expect_refused(Explainer(keys_, kHostKey).explain(name_), pb::Refusal::CODE_BAD_CERTIFICATE,
                   "not for signing explanations");
    expect_refused(Explainer(keys_, "auditor/tls").explain(name_),
                   pb::Refusal::CODE_BAD_CERTIFICATE, "not for signing explanations");
    // Nor because it was found good for statements before.
    Bytes certificate = keys_.certificate(kHost);
    uint64_t now = auditor_.about(name_).wall_ns();
    ASSERT_TRUE(root_.check(certificate, now));
    EXPECT_FALSE(root_.check(certificate, now, FleetRoot::Signs::kExplanations));
    expect_refused(Explainer(keys_, kHostKey).explain(name_), pb::Refusal::CODE_BAD_CERTIFICATE,
                   "not for signing explanations");
}

TEST_F(ExplanationTest, AnAuditorsKeyCannotState) {
    auto key = SigningKey::from_pem(keys_.read("auditor/signing.key"));
    TestHost liar("auditor.example", std::move(*key), der_of(keys_.read("auditor/signing.pem")));
    auto result = open_attestation(liar.attest(), {}, root_);
    ASSERT_TRUE(std::holds_alternative<Breach>(result));
    EXPECT_NE(std::get<Breach>(result).reason.find("not for signing statements"),
              std::string::npos);
}

TEST_F(ExplanationTest, AKeyThatMayDoBothMayDoNeither) {
    std::string both = std::string(kStatementSigningOid) + "," + kExplanationSigningOid;
    expect_refused(certified("/CN=x", both).explain(name_), pb::Refusal::CODE_BAD_CERTIFICATE,
                   "not for signing explanations");
    Bytes certificate = der_of(keys_.read("x.pem"));
    EXPECT_FALSE(root_.check(certificate, auditor_.about(name_).wall_ns()));
    Bytes one = certified("/CN=x", kExplanationSigningOid).explain(name_);
    EXPECT_TRUE(std::holds_alternative<OpenedExplanation>(open_explanation(one, root_)));
}

TEST_F(ExplanationTest, TheSignerHasOneName) {
    for (const char *subject : {"/O=nobody", "/CN=one/CN=two"})
        expect_refused(certified(subject, kExplanationSigningOid).explain(name_),
                       pb::Refusal::CODE_BAD_CERTIFICATE, "exactly one common name");
    // Whatever it is, it leads no terminal astray.
    auto opened =
        open_explanation(certified("/CN=a\x1b[2Jb", kExplanationSigningOid).explain(name_), root_);
    ASSERT_TRUE(std::holds_alternative<OpenedExplanation>(opened));
    EXPECT_EQ(std::get<OpenedExplanation>(opened).who, "a\\x1b[2Jb");
}

TEST_F(ExplanationTest, AnotherFleetsAuditorDoesNotCount) {
    TestKeys others;
    expect_refused(Explainer(others).explain(name_), pb::Refusal::CODE_BAD_CERTIFICATE,
                   "certificate: ");
}

TEST_F(ExplanationTest, TheCertificateIsJudgedAtTheExplanationsOwnTime) {
    pb::Explanation late = auditor_.about(name_);
    late.set_wall_ns(late.wall_ns() + 400 * 86400 * TestHost::kSecond);
    expect_refused(auditor_.sign(late), pb::Refusal::CODE_BAD_CERTIFICATE, "expired");
}

TEST_F(ExplanationTest, EveryChangedByteIsRefused) {
    Bytes entry = auditor_.explain(name_);
    for (size_t at = 0; at < entry.size(); at++) {
        Bytes changed = entry;
        changed[at] ^= 0x01;
        EXPECT_TRUE(std::holds_alternative<Breach>(open_explanation(changed, root_))) << at;
    }
    for (size_t length = 0; length < entry.size(); length++)
        EXPECT_TRUE(
            std::holds_alternative<Breach>(open_explanation(ByteView(entry).first(length), root_)))
            << length;
}

TEST_F(ExplanationTest, ASignatureOfAStatementIsNoneOfAnExplanation) {
    pb::Envelope envelope;
    Bytes sealed = auditor_.sign(auditor_.about(name_), kStatementType);
    ASSERT_TRUE(envelope.ParseFromArray(sealed.data(), static_cast<int>(sealed.size())));
    expect_refused(sealed, pb::Refusal::CODE_MALFORMED, "payload type");
    envelope.set_payloadtype(std::string(kExplanationType));
    std::string relabelled = envelope.SerializeAsString();
    expect_refused(view(relabelled), pb::Refusal::CODE_BAD_SIGNATURE, "signature");
}

TEST_F(ExplanationTest, ForgedWithAnotherKey) {
    pb::Explanation explanation = auditor_.about(name_);
    expect_refused(Explainer(keys_, kHostKey).sign(explanation), pb::Refusal::CODE_BAD_SIGNATURE,
                   "signature");
}

TEST_F(ExplanationTest, WhatIsMalformedSaysHow) {
    using E = pb::Explanation;
    expect_malformed([](E &e) { e.clear_why(); }, "does not say why");
    expect_malformed([](E &e) { e.set_why("   "); }, "does not say why");
    for (const char *odd : {"two\nlines", "tab\t", "\x1b[2J", "del\x7f", "\xc3\xbc", "\r"}) {
        expect_malformed([&](E &e) { e.set_why(odd); }, "why is not one line");
        expect_malformed([&](E &e) { e.set_reference(odd); }, "reference is not one line");
    }
    expect_malformed([](E &e) { e.set_why(std::string(1001, 'x')); }, "at most 1,000");
    expect_malformed([](E &e) { e.set_reference(std::string(201, 'x')); }, "at most 200");
    expect_malformed([](E &e) { e.clear_wall_ns(); }, "when");
    expect_malformed([](E &e) { e.clear_findings(); }, "explains 0 findings");
    expect_malformed([](E &e) { *e.add_findings() = e.findings(0); }, "one finding twice");
    expect_malformed(
        [](E &e) {
            for (uint32_t i = 2; i <= 33; i++) {
                *e.add_findings() = e.findings(0);
                e.mutable_findings(e.findings_size() - 1)->set_nth(i);
            }
        },
        "explains 33 findings");
    expect_malformed([](E &e) { e.mutable_findings(0)->clear_nth(); }, "numbered zero");
    expect_malformed([](E &e) { e.mutable_findings(0)->set_kind("Gap!"); }, "not a word");
    expect_malformed([](E &e) { e.mutable_findings(0)->clear_kind(); }, "not a word");
    expect_malformed([](E &e) { e.mutable_findings(0)->mutable_entry()->pop_back(); }, "32 bytes");
    expect_malformed([](E &e) { e.mutable_findings(0)->set_host("a\nb"); }, "printable name");
    expect_malformed([](E &e) { e.mutable_findings(0)->clear_host(); }, "printable name");

    pb::Explanation bare = auditor_.about(name_);
    bare.clear_certificate();
    expect_refused(auditor_.sign(bare), pb::Refusal::CODE_BAD_CERTIFICATE, "must bring");
    bare.set_certificate("not DER");
    expect_refused(auditor_.sign(bare), pb::Refusal::CODE_BAD_CERTIFICATE, "not a DER");

    pb::Explanation longest = auditor_.about(name_);
    longest.set_why(std::string(1000, 'x'));
    longest.set_reference(std::string(200, 'x'));
    EXPECT_TRUE(
        std::holds_alternative<OpenedExplanation>(open_explanation(auditor_.sign(longest), root_)));
}

TEST_F(ExplanationTest, AnEntryIsOneOfTheTwoOrNothing) {
    auto stated = read_entry(attestation_);
    ASSERT_TRUE(std::holds_alternative<UnverifiedEntry>(stated));
    EXPECT_TRUE(std::holds_alternative<Unverified>(std::get<UnverifiedEntry>(stated)));
    auto explained = read_entry(auditor_.explain(name_));
    ASSERT_TRUE(std::holds_alternative<UnverifiedEntry>(explained));
    EXPECT_TRUE(
        std::holds_alternative<UnverifiedExplanation>(std::get<UnverifiedEntry>(explained)));
    auto later = read_entry(auditor_.sign(auditor_.about(name_), "application/vnd.later+json"));
    ASSERT_TRUE(std::holds_alternative<Breach>(later));
    EXPECT_NE(std::get<Breach>(later).reason.find(
                  "\"application/vnd.later+json\" is none that this version knows"),
              std::string::npos);
    EXPECT_TRUE(std::holds_alternative<Breach>(read_entry({})));
    EXPECT_TRUE(std::holds_alternative<Breach>(read_entry(view("not protobuf"))));
}

} // namespace
} // namespace tally
