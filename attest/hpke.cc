#include "attest/hpke.h"

namespace tally {

namespace {

constexpr size_t kPointSize = 65;
// What every P-256 SubjectPublicKeyInfo with an uncompressed point begins with (RFC 5480, 2).
constexpr uint8_t kSpkiPrefix[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                   0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                   0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};
constexpr uint16_t kKem = 0x0010;
constexpr uint16_t kKdf = 0x0001;
constexpr uint16_t kAead = 0x0001;
constexpr uint8_t kBase = 0x00;

// RFC 9180, 4.1 and 5.1: what every label is prefixed with.
Bytes kem_suite() {
    Bytes suite = to_bytes(view("KEM"));
    put_be16(suite, kKem);
    return suite;
}
Bytes hpke_suite() {
    Bytes suite = to_bytes(view("HPKE"));
    put_be16(suite, kKem);
    put_be16(suite, kKdf);
    put_be16(suite, kAead);
    return suite;
}

// LabeledExtract and LabeledExpand (RFC 9180, 4) over HKDF (RFC 5869); no expansion that we need is
// longer than one block.
Digest extract(ByteView suite, ByteView salt, std::string_view label, ByteView input) {
    Bytes labeled = to_bytes(view("HPKE-v1"));
    append(labeled, suite);
    append(labeled, view(label));
    append(labeled, input);
    return hmac_sha256(salt, labeled);
}

Bytes expand(ByteView suite, ByteView secret, std::string_view label, ByteView info,
             uint16_t size) {
    Bytes labeled;
    put_be16(labeled, size);
    append(labeled, view("HPKE-v1"));
    append(labeled, suite);
    append(labeled, view(label));
    append(labeled, info);
    labeled.push_back(1); // the first block, and the last
    Digest block = hmac_sha256(secret, labeled);
    return {block.begin(), block.begin() + size};
}

struct Schedule {
    Bytes key;
    Bytes nonce;
};

// ExtractAndExpand (4.1), then KeySchedule (5.1).
Schedule schedule(ByteView shared_x, ByteView encapsulated, ByteView recipient_point,
                  ByteView info) {
    Bytes kem = kem_suite();
    Bytes kem_context = to_bytes(encapsulated);
    append(kem_context, recipient_point);
    Digest prk = extract(kem, {}, "eae_prk", shared_x);
    Bytes shared = expand(kem, prk, "shared_secret", kem_context, 32);

    Bytes suite = hpke_suite();
    Bytes context{kBase};
    append(context, extract(suite, {}, "psk_id_hash", {}));
    append(context, extract(suite, {}, "info_hash", info));
    Digest secret = extract(suite, shared, "secret", {});
    return {expand(suite, secret, "key", context, kGcmKey),
            expand(suite, secret, "base_nonce", context, kGcmNonce)};
}

// ComputeNonce (5.2).
Bytes nonce_of(ByteView base, uint64_t number) {
    Bytes nonce = to_bytes(base);
    for (size_t i = 0; i < sizeof(number); i++)
        nonce[nonce.size() - 1 - i] ^= static_cast<uint8_t>(number >> 8 * i);
    return nonce;
}

} // namespace

Result<Bytes> hpke_public_key(const std::string &pem) {
    constexpr std::string_view kBegin = "-----BEGIN PUBLIC KEY-----";
    constexpr std::string_view kEnd = "-----END PUBLIC KEY-----";
    if (pem.find("PRIVATE KEY-----") != std::string::npos)
        return Error{"a private key: the public one belongs here, and the private one to the "
                     "auditor alone"};
    size_t begin = pem.find(kBegin);
    size_t end = pem.find(kEnd);
    if (begin == std::string::npos || end == std::string::npos || end < begin + kBegin.size())
        return Error{"not a PEM public key (-----BEGIN PUBLIC KEY-----)"};
    std::string base64;
    for (char c : pem.substr(begin + kBegin.size(), end - begin - kBegin.size())) {
        if (c != '\n' && c != '\r')
            base64 += c;
    }
    auto der = from_base64(base64);
    if (!der)
        return Error{"not a PEM public key: " + der.error().message};
    auto key = VerifyingKey::from_spki(*der);
    if (!key)
        return key.error();
    if (key->type() != KeyType::kEcdsaP256)
        return Error{"not a P-256 key"};
    if (der->size() != sizeof(kSpkiPrefix) + kPointSize)
        return Error{"not a P-256 key with an uncompressed point"};
    return to_bytes(ByteView(*der).last(kPointSize));
}

Digest hpke_key_id(ByteView point) {
    return sha256(kSpkiPrefix, point);
}

Result<HpkeSender> HpkeSender::start(const AgreementKey &ephemeral, ByteView recipient_point,
                                     ByteView info) {
    auto shared = ephemeral.agree(recipient_point);
    if (!shared)
        return shared.error();
    Schedule made = schedule(*shared, ephemeral.point(), recipient_point, info);
    return HpkeSender(ephemeral.point(), std::move(made.key), std::move(made.nonce));
}

Result<Bytes> HpkeSender::seal(ByteView additional, ByteView plaintext) {
    return gcm_seal(key_, nonce_of(nonce_, next_++), additional, plaintext);
}

Result<HpkeReceiver> HpkeReceiver::start(const AgreementKey &recipient, ByteView encapsulated,
                                         ByteView info) {
    auto shared = recipient.agree(encapsulated);
    if (!shared)
        return shared.error();
    Schedule made = schedule(*shared, encapsulated, recipient.point(), info);
    return HpkeReceiver(std::move(made.key), std::move(made.nonce));
}

Result<Bytes> HpkeReceiver::open(uint64_t number, ByteView additional, ByteView sealed) const {
    return gcm_open(key_, nonce_of(nonce_, number), additional, sealed);
}

} // namespace tally
