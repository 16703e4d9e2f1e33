// Admission: which certificates may speak for a host, when, and what an attestation must be to
// count.
#include "attest/admit.h"
#include "attest/dsse.h"
#include "base/durable.h"
#include "tests/unit/support/keys.h"

#include <cstdlib>
#include <ctime>
#include <fstream>
#include <gtest/gtest.h>

namespace tally {
namespace {

constexpr const char *kHost = "gpu1.example";
constexpr uint64_t kDay = 86400 * TestHost::kSecond;

FleetRoot root_of(const TestKeys &keys) {
    auto root = FleetRoot::from_pem(keys.read("fleet-ca.pem"));
    EXPECT_TRUE(root);
    return std::move(*root);
}

class Admission : public testing::Test {
protected:
    Admission() : root_(root_of(keys_)), host_(keys_.host(kHost)) {}

    void expect_refused(ByteView attestation, pb::Refusal::Code code, const std::string &says,
                        ByteView known_key = {}) {
        auto result = open_attestation(attestation, known_key, root_);
        auto *breach = std::get_if<Breach>(&result);
        ASSERT_NE(breach, nullptr) << "admitted: " << says;
        EXPECT_EQ(pb::Refusal::Code_Name(breach->code), pb::Refusal::Code_Name(code));
        EXPECT_NE(breach->reason.find(says), std::string::npos) << breach->reason;
    }
    // A certificate for the host's signing key made by openssl with the given extensions.
    Bytes certificate(const std::string &extensions, const std::string &ca = "fleet-ca") {
        std::ofstream(keys_.path("ext")) << extensions;
        std::string key = keys_.path(std::string("hosts/") + kHost + "/signing.key");
        std::string command = "cd " + keys_.directory() + " && openssl req -new -key " + key +
                              " -subj /CN=x -out x.csr 2>/dev/null && openssl x509 -req -in x.csr "
                              "-CA " +
                              ca + ".pem -CAkey " + ca +
                              ".key -extfile ext -days 2 "
                              "-set_serial 7 -out x.pem 2>/dev/null";
        EXPECT_EQ(std::system(command.c_str()), 0);
        return der_of(keys_.read("x.pem"));
    }
    Bytes attest_with(const Bytes &certificate) {
        TestHost host(kHost, keys_.signing_key(kHost), certificate);
        return host.attest();
    }

    TestKeys keys_;
    FleetRoot root_;
    TestHost host_;
};

TEST_F(Admission, AnHonestChainIsAdmitted) {
    ChainHead head;
    for (int i = 0; i < 10; i++) {
        auto result = admit(head, host_.attest(), root_);
        ASSERT_TRUE(std::holds_alternative<Opened>(result)) << std::get<Breach>(result).reason;
    }
    EXPECT_EQ(head.sequence, 10U);
    EXPECT_EQ(head.digest, host_.digest());
}

TEST_F(Admission, ARefusalLeavesTheHeadAsItWas) {
    ChainHead head;
    admit(head, host_.attest(), root_);
    pb::Statement wrong = host_.next();
    wrong.set_previous(std::string(32, 'x'));
    TestHost copy = keys_.host(kHost);
    Bytes attestation = copy.attest(wrong);
    auto result = admit(head, attestation, root_);
    EXPECT_TRUE(std::holds_alternative<Breach>(result));
    EXPECT_EQ(head.sequence, 1U);
    EXPECT_EQ(head.digest, host_.digest());
}

TEST_F(Admission, EveryChangedByteOfAnAttestationIsRefused) {
    Bytes attestation = host_.attest();
    for (size_t at = 0; at < attestation.size(); at++) {
        Bytes changed = attestation;
        changed[at] ^= 0x01;
        auto result = open_attestation(changed, {}, root_);
        EXPECT_TRUE(std::holds_alternative<Breach>(result)) << at;
    }
}

TEST_F(Admission, TheFirstStatementBringsTheCertificate) {
    pb::Statement bare = host_.next();
    bare.clear_certificate();
    expect_refused(host_.attest(bare), pb::Refusal::CODE_BAD_CERTIFICATE, "must bring");
}

TEST_F(Admission, ACertificateOfAnotherHostDoesNotCount) {
    TestKeys two({kHost, "gpu2.example"});
    FleetRoot root = root_of(two);
    TestHost liar(kHost, two.signing_key("gpu2.example"), two.certificate("gpu2.example"));
    auto result = open_attestation(liar.attest(), {}, root);
    ASSERT_TRUE(std::holds_alternative<Breach>(result));
    EXPECT_NE(std::get<Breach>(result).reason.find("does not name host"), std::string::npos);
}

TEST_F(Admission, ACertificateThatWasGoodIsNotGoodForEver) {
    Bytes two_days =
        certificate(std::string("subjectAltName=DNS:gpu1.example\nkeyUsage=digitalSignature\n"
                                "extendedKeyUsage=") +
                    kStatementSigningOid);
    uint64_t now = static_cast<uint64_t>(std::time(nullptr)) * TestHost::kSecond;
    for (int round = 0; round < 2; round++) {
        auto good = root_.check(two_days, now + kDay);
        ASSERT_TRUE(good) << good.error().message;
        EXPECT_EQ(good->hosts, std::vector<std::string>{kHost});
        EXPECT_FALSE(root_.check(two_days, now + 3 * kDay));
        EXPECT_FALSE(root_.check(two_days, now - kDay));
    }
    TestKeys others;
    EXPECT_FALSE(root_of(others).check(two_days, now + kDay));
}

TEST_F(Admission, ACertificateOfAnotherFleetDoesNotCount) {
    TestKeys others;
    TestHost foreign = others.host(kHost);
    expect_refused(foreign.attest(), pb::Refusal::CODE_BAD_CERTIFICATE, "certificate:");
}

TEST_F(Admission, ATlsCertificateCannotSignStatements) {
    Bytes tls = certificate("subjectAltName=DNS:gpu1.example\nkeyUsage=digitalSignature\n"
                            "extendedKeyUsage=clientAuth\n");
    expect_refused(attest_with(tls), pb::Refusal::CODE_BAD_CERTIFICATE, "not for signing");
    Bytes any = certificate("subjectAltName=DNS:gpu1.example\nkeyUsage=keyAgreement\n"
                            "extendedKeyUsage=" +
                            std::string(kStatementSigningOid) + "\n");
    expect_refused(attest_with(any), pb::Refusal::CODE_BAD_CERTIFICATE, "not for signing");
}

TEST_F(Admission, WildcardsNameNobody) {
    Bytes wild = certificate("subjectAltName=DNS:*.example\nkeyUsage=digitalSignature\n"
                             "extendedKeyUsage=" +
                             std::string(kStatementSigningOid) + "\n");
    expect_refused(attest_with(wild), pb::Refusal::CODE_BAD_CERTIFICATE, "does not name host");
}

TEST_F(Admission, ValidityIsJudgedAtTheStatementsOwnTime) {
    auto at = [&](int64_t shift) {
        TestHost host = keys_.host(kHost);
        pb::Statement statement = host.next();
        pb::Window &window = *statement.mutable_window();
        window.set_begin_wall_ns(window.begin_wall_ns() + static_cast<uint64_t>(shift));
        window.set_end_wall_ns(window.end_wall_ns() + static_cast<uint64_t>(shift));
        return host.attest(statement);
    };
    EXPECT_TRUE(std::holds_alternative<Opened>(open_attestation(at(0), {}, root_)));
    expect_refused(at(400 * static_cast<int64_t>(kDay)), pb::Refusal::CODE_BAD_CERTIFICATE,
                   "expired");
    expect_refused(at(-400 * static_cast<int64_t>(kDay)), pb::Refusal::CODE_BAD_CERTIFICATE,
                   "not yet valid");
}

TEST_F(Admission, AKeyDoesNotChangeByItself) {
    ChainHead head;
    admit(head, host_.attest(), root_);
    TestKeys others;
    Bytes other_key = others.signing_key(kHost).verifying_key().spki();
    // Another key's signature without a certificate, and this key's where another is known.
    pb::Statement next = host_.next();
    auto forged = dsse_seal(view(next.SerializeAsString()), others.signing_key(kHost));
    ASSERT_TRUE(forged);
    expect_refused(*forged, pb::Refusal::CODE_BAD_SIGNATURE, "signature", head.signing_key);
    TestHost again = keys_.host(kHost);
    expect_refused(again.attest(), pb::Refusal::CODE_BAD_CERTIFICATE, "another key", other_key);
}

TEST_F(Admission, GarbageIsMalformed) {
    expect_refused({}, pb::Refusal::CODE_MALFORMED, "payload type");
    expect_refused(view("not protobuf"), pb::Refusal::CODE_MALFORMED, "");
    auto sealed = dsse_seal(view("\xff\xff not a statement"), keys_.signing_key(kHost));
    expect_refused(*sealed, pb::Refusal::CODE_MALFORMED, "not a statement");
}

TEST(FleetRoots, MustBeCertificatesOfAnAuthority) {
    TestKeys keys;
    EXPECT_FALSE(FleetRoot::from_pem(""));
    EXPECT_FALSE(FleetRoot::from_pem("-----BEGIN CERTIFICATE-----\nAAAA\n"));
    EXPECT_FALSE(FleetRoot::from_pem(keys.read(std::string("hosts/") + kHost + "/signing.pem")));
}

} // namespace
} // namespace tally
