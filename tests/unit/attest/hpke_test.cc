// HPKE over the crypto seam: RFC 9180's own vectors on this side, and each side against the other.
#include "attest/hpke.h"
#include "base/durable.h"
#include "tests/unit/attest/seam_rig.h"

#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

namespace tally {
namespace {

Bytes hex(const std::string &digits) {
    auto bytes = from_hex(digits);
    EXPECT_TRUE(bytes) << digits;
    return bytes ? *bytes : Bytes();
}

struct Vectors {
    struct Message {
        uint64_t number;
        Bytes additional, plaintext, sealed;
    };
    Bytes info, ephemeral, encapsulated, recipient, recipient_point;
    std::vector<Message> messages;

    Vectors() {
        std::ifstream data("tests/vectors/hpke.data");
        for (std::string line; std::getline(data, line);) {
            std::istringstream words(line);
            std::string kind, a, b, c, d, e;
            words >> kind >> a >> b >> c >> d >> e;
            if (kind == "setup") {
                info = hex(a), ephemeral = hex(b), encapsulated = hex(c);
                recipient = hex(d), recipient_point = hex(e);
            } else if (kind == "message") {
                messages.push_back({std::stoull(a), hex(b), hex(c), hex(d)});
            }
        }
        EXPECT_EQ(messages.size(), 6U);
    }
};

TEST(Hpke, SealsAsTheRfcDoes) {
    Vectors vectors;
    auto ephemeral = AgreementKey::from_scalar(vectors.ephemeral);
    ASSERT_TRUE(ephemeral) << ephemeral.error().message;
    auto sender = HpkeSender::start(*ephemeral, vectors.recipient_point, vectors.info);
    ASSERT_TRUE(sender);
    EXPECT_EQ(sender->encapsulated(), vectors.encapsulated);
    for (const Vectors::Message &message : vectors.messages) {
        while (sender->next() < message.number)
            ASSERT_TRUE(sender->seal({}, {}));
        auto sealed = sender->seal(message.additional, message.plaintext);
        ASSERT_TRUE(sealed);
        EXPECT_EQ(to_hex(*sealed), to_hex(message.sealed)) << message.number;
    }
}

TEST(Hpke, OpensWhatTheRfcSealed) {
    Vectors vectors;
    auto recipient = AgreementKey::from_scalar(vectors.recipient);
    ASSERT_TRUE(recipient);
    EXPECT_EQ(recipient->point(), vectors.recipient_point);
    auto receiver = HpkeReceiver::start(*recipient, vectors.encapsulated, vectors.info);
    ASSERT_TRUE(receiver);
    for (const Vectors::Message &message : vectors.messages) {
        auto opened = receiver->open(message.number, message.additional, message.sealed);
        ASSERT_TRUE(opened) << opened.error().message;
        EXPECT_EQ(*opened, message.plaintext);
    }
}

TEST(Hpke, NothingOpensButWhatWasSealed) {
    Vectors vectors;
    auto recipient = AgreementKey::from_scalar(vectors.recipient);
    auto receiver = HpkeReceiver::start(*recipient, vectors.encapsulated, vectors.info);
    ASSERT_TRUE(receiver);
    const Vectors::Message &message = vectors.messages[0];
    for (size_t at = 0; at < message.sealed.size(); at++) {
        Bytes changed = message.sealed;
        changed[at] ^= 1;
        EXPECT_FALSE(receiver->open(0, message.additional, changed)) << at;
    }
    EXPECT_FALSE(receiver->open(1, message.additional, message.sealed));
    EXPECT_FALSE(receiver->open(0, view("Count-1"), message.sealed));
    EXPECT_FALSE(receiver->open(0, message.additional, {}));
    EXPECT_FALSE(receiver->open(0, message.additional, Bytes(15)));
    auto other_info = HpkeReceiver::start(*recipient, vectors.encapsulated, view("other"));
    EXPECT_FALSE(other_info->open(0, message.additional, message.sealed));
    auto stranger = AgreementKey::generate();
    auto theirs = HpkeReceiver::start(*stranger, vectors.encapsulated, vectors.info);
    EXPECT_FALSE(theirs->open(0, message.additional, message.sealed));
}

TEST(Hpke, NothingIsSealedWithWhatIsNoPoint) {
    Vectors vectors;
    auto key = AgreementKey::generate();
    ASSERT_TRUE(key);
    Bytes off = vectors.recipient_point;
    off.back() ^= 1;
    Bytes compressed(off.begin(), off.begin() + 33);
    compressed[0] = 0x02;
    for (const Bytes &bad : {off, compressed, Bytes(), Bytes(1), Bytes(65), Bytes(66)}) {
        EXPECT_FALSE(HpkeSender::start(*key, bad, {}));
        EXPECT_FALSE(HpkeReceiver::start(*key, bad, {}));
    }
    EXPECT_FALSE(AgreementKey::from_scalar(Bytes(32)));
    EXPECT_FALSE(AgreementKey::from_scalar(Bytes(32, 0xff)));
    EXPECT_FALSE(AgreementKey::from_scalar(Bytes(31, 1)));
}

TEST(Hpke, TwoEphemeralKeysAreNeverTheSame) {
    EXPECT_NE(AgreementKey::generate()->point(), AgreementKey::generate()->point());
}

// RFC 4231, test cases 1, 2 and 6 (a key longer than a block).
TEST(Hmac, KnownAnswers) {
    EXPECT_EQ(to_hex(hmac_sha256(Bytes(20, 0x0b), view("Hi There"))),
              "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    EXPECT_EQ(to_hex(hmac_sha256(view("Jefe"), view("what do ya want for nothing?"))),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    EXPECT_EQ(to_hex(hmac_sha256(Bytes(131, 0xaa),
                                 view("Test Using Larger Than Block-Size Key - Hash Key First"))),
              "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    EXPECT_EQ(to_hex(hmac_sha256({}, {})),
              "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

class SealingSeam : public SeamRig {};

TEST_F(SealingSeam, EachSideOpensWhatTheOtherSealed) {
    std::string key = file("auditor/sealing.key");
    std::string public_key = file("auditor/sealing.pem");
    for (size_t length : {size_t{0}, size_t{1}, size_t{15}, size_t{16}, size_t{5000}}) {
        std::ofstream(file("name")) << std::string(length, 'n');
        for (const char *sealer : {"mbedtls", "openssl"}) {
            ASSERT_EQ(shell(tool(sealer) + " seal " + public_key + " < " + file("name") + " > " +
                            file("sealed")),
                      0);
            for (const char *opener : {"mbedtls", "openssl"}) {
                EXPECT_EQ(shell(tool(opener) + " open " + key + " < " + file("sealed") + " > " +
                                file("opened")),
                          0)
                    << sealer << " sealed " << length << " bytes, " << opener << " cannot open it";
                EXPECT_EQ(keys_.read("opened"), keys_.read("name"));
            }
        }
    }
}

TEST_F(SealingSeam, APublicKeyIsTakenInOneFormAlone) {
    auto point = hpke_public_key(keys_.read("auditor/sealing.pem"));
    ASSERT_TRUE(point) << point.error().message;
    auto key = AgreementKey::from_pem(keys_.read("auditor/sealing.key"));
    ASSERT_TRUE(key) << key.error().message;
    EXPECT_EQ(key->point(), *point);

    auto refused = [](const std::string &pem) {
        auto taken = hpke_public_key(pem);
        EXPECT_FALSE(taken);
        return taken ? "taken" : taken.error().message;
    };
    EXPECT_NE(refused(keys_.read("auditor/sealing.key")).find("a private key"), std::string::npos);
    EXPECT_NE(refused(keys_.read("fleet-ca.pem")).find("PEM public key"), std::string::npos);
    refused("");
    refused("-----END PUBLIC KEY----------BEGIN PUBLIC KEY-----");
    refused("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
    ASSERT_EQ(shell("openssl ecparam -name secp384r1 -genkey -noout | openssl ec -pubout -out " +
                    file("p384.pem") + " 2>/dev/null"),
              0);
    refused(keys_.read("p384.pem"));
    ASSERT_EQ(shell("openssl genpkey -algorithm ed25519 | openssl pkey -pubout -out " +
                    file("ed25519.pem")),
              0);
    refused(keys_.read("ed25519.pem"));
    ASSERT_EQ(shell("openssl ecparam -name secp384r1 -genkey -noout -out " + file("p384.key")), 0);
    EXPECT_FALSE(AgreementKey::from_pem(keys_.read("p384.key")));
    EXPECT_FALSE(AgreementKey::from_pem(keys_.read("auditor/sealing.pem")));
    EXPECT_FALSE(AgreementKey::from_pem(""));
}

} // namespace
} // namespace tally
