// The crypto seam: what either side must do, and what each must make of the other's output.
#include "attest/crypto.h"
#include "base/durable.h"
#include "tests/unit/attest/seam_rig.h"

#include <fstream>
#include <gtest/gtest.h>

namespace tally {
namespace {

class Seam : public SeamRig {};

TEST(Sha256, KnownAnswers) {
    EXPECT_EQ(to_hex(sha256({})),
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(to_hex(sha256(view("abc"))),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(Sha256().update(view("a")).update(view("bc")).finish(), sha256(view("abc")));
}

TEST_F(Seam, EachSideVerifiesTheOthersSignatures) {
    std::string key = file("hosts/gpu1.example/signing.key");
    for (size_t length : {size_t{0}, size_t{1}, size_t{1000}, size_t{65535}}) {
        std::ofstream(file("message")) << std::string(length, 'm');
        for (const char *signer : {"mbedtls", "openssl"}) {
            ASSERT_EQ(shell(tool(signer) + " sign " + key + " < " + file("message") + " > " +
                            file("signature")),
                      0);
            ASSERT_EQ(shell(tool(signer) + " spki " + key + " > " + file("spki")), 0);
            for (const char *verifier : {"mbedtls", "openssl"})
                EXPECT_EQ(shell(tool(verifier) + " verify " + file("spki") + " " +
                                file("signature") + " < " + file("message")),
                          0)
                    << signer << " signed " << length << " bytes, " << verifier << " disagrees";
        }
    }
}

TEST_F(Seam, NeitherSideVerifiesAChangedMessage) {
    std::string key = file("hosts/gpu1.example/signing.key");
    std::ofstream(file("message")) << "what was said";
    std::ofstream(file("other")) << "what was Said";
    ASSERT_EQ(shell(tool("mbedtls") + " sign " + key + " < " + file("message") + " > " +
                    file("signature")),
              0);
    ASSERT_EQ(shell(tool("openssl") + " spki " + key + " > " + file("spki")), 0);
    for (const char *verifier : {"mbedtls", "openssl"})
        EXPECT_EQ(shell(tool(verifier) + " verify " + file("spki") + " " + file("signature") +
                        " < " + file("other")),
                  1);
}

TEST_F(Seam, BothSidesNameAKeyTheSame) {
    std::string key = file("hosts/gpu1.example/signing.key");
    ASSERT_EQ(shell(tool("mbedtls") + " spki " + key + " > " + file("a")), 0);
    ASSERT_EQ(shell(tool("openssl") + " spki " + key + " > " + file("b")), 0);
    ASSERT_EQ(shell("openssl pkey -in " + key + " -pubout -outform DER > " + file("c")), 0);
    EXPECT_EQ(keys_.read("a"), keys_.read("b"));
    EXPECT_EQ(keys_.read("a"), keys_.read("c"));
}

TEST_F(Seam, EveryChangedByteOfASignatureIsRefused) {
    SigningKey key = keys_.signing_key("gpu1.example");
    auto signature = key.sign(view("message"));
    ASSERT_TRUE(signature);
    ASSERT_TRUE(key.verifying_key().verify(view("message"), *signature));
    for (size_t at = 0; at < signature->size(); at++) {
        for (int bit = 0; bit < 8; bit++) {
            Bytes changed = *signature;
            changed[at] ^= static_cast<uint8_t>(1 << bit);
            EXPECT_FALSE(key.verifying_key().verify(view("message"), changed)) << at;
        }
    }
    Bytes longer = *signature;
    longer.push_back(0);
    EXPECT_FALSE(key.verifying_key().verify(view("message"), longer));
    EXPECT_FALSE(key.verifying_key().verify(view("message"), {}));
}

// Signatures no encoder would write; the shapes are Project Wycheproof's (ecdsa_secp256r1_sha256).
TEST_F(Seam, DegenerateSignaturesAreRefused) {
    VerifyingKey key = keys_.signing_key("gpu1.example").verifying_key();
    std::ifstream data("tests/vectors/ecdsa-degenerate.data");
    int count = 0;
    for (std::string line; std::getline(data, line);) {
        std::string_view rest = line;
        if (rest.empty() || rest.front() == '#')
            continue;
        auto signature = from_hex(take_until(rest, ' '));
        ASSERT_TRUE(signature) << line;
        EXPECT_FALSE(key.verify(view("message"), *signature)) << rest;
        count++;
    }
    EXPECT_GE(count, 12);
}

TEST_F(Seam, OnlyP256KeysAreTaken) {
    ASSERT_EQ(shell("openssl ecparam -name secp384r1 -genkey -noout -out " + file("p384.key")), 0);
    EXPECT_FALSE(SigningKey::from_pem(keys_.read("p384.key")));
    ASSERT_EQ(shell("openssl pkey -in " + file("p384.key") + " -pubout -outform DER > " +
                    file("p384.der")),
              0);
    EXPECT_FALSE(VerifyingKey::from_spki(view(keys_.read("p384.der"))));
    ASSERT_EQ(shell("openssl genrsa -traditional -out " + file("rsa.key") + " 2048 2>/dev/null"),
              0);
    EXPECT_FALSE(SigningKey::from_pem(keys_.read("rsa.key")));
    EXPECT_FALSE(SigningKey::from_pem("not a key"));
    EXPECT_FALSE(SigningKey::from_pem(""));
    EXPECT_FALSE(VerifyingKey::from_spki({}));
}

TEST_F(Seam, APointThatIsNotOnTheCurveIsNoKey) {
    Bytes spki = keys_.signing_key("gpu1.example").verifying_key().spki();
    EXPECT_TRUE(VerifyingKey::from_spki(spki));
    for (size_t at = 0; at < spki.size(); at++) {
        Bytes changed = spki;
        changed[at] ^= 0x01;
        EXPECT_FALSE(VerifyingKey::from_spki(changed)) << at;
    }
}

TEST_F(Seam, BothPemFormsAreTaken) {
    std::string pkcs8 = file("hosts/gpu1.example/signing.key");
    ASSERT_EQ(shell("openssl ec -in " + pkcs8 + " -out " + file("sec1.key") + " 2>/dev/null"), 0);
    auto key = SigningKey::from_pem(keys_.read("sec1.key"));
    ASSERT_TRUE(key) << key.error().message;
    EXPECT_EQ(key->verifying_key().spki(),
              keys_.signing_key("gpu1.example").verifying_key().spki());
}

TEST_F(Seam, AnEncryptedKeyIsAnErrorAndNoQuestion) {
    ASSERT_EQ(shell("openssl pkcs8 -topk8 -v2 aes256 -passout pass:secret -in " +
                    file("hosts/gpu1.example/signing.key") + " -out " + file("locked.key")),
              0);
    EXPECT_FALSE(SigningKey::from_pem(keys_.read("locked.key")));
}

} // namespace
} // namespace tally
