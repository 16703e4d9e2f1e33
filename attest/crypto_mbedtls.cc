// The crypto seam on the host: mbedTLS 2.28. Ed25519 is not in it, so keys of that type are errors.
#include "attest/crypto.h"

#include <mbedtls/asn1.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/entropy.h>
#include <mbedtls/pk.h>
#include <mbedtls/sha256.h>

namespace tally {

namespace {

struct KeyContext {
    mbedtls_pk_context pk;
    KeyContext() { mbedtls_pk_init(&pk); }
    ~KeyContext() { mbedtls_pk_free(&pk); }
    KeyContext(const KeyContext &) = delete;
    KeyContext &operator=(const KeyContext &) = delete;

    bool is_p256() const {
        return mbedtls_pk_get_type(&pk) == MBEDTLS_PK_ECKEY &&
               mbedtls_pk_ec(pk)->grp.id == MBEDTLS_ECP_DP_SECP256R1;
    }
    // mbedtls_pk_sign and _verify copy the key each time, without the table of multiples of the
    // curve's base point, whose making costs most of a signature. Here it is made once, at first
    // use, and stays in the key: keys are for one thread.
    mbedtls_ecdsa_context *ecdsa() const { return mbedtls_pk_ec(pk); }
    // Written from its end, as mbedTLS does.
    Bytes spki() {
        unsigned char der[128];
        int length = mbedtls_pk_write_pubkey_der(&pk, der, sizeof(der));
        return length > 0 ? Bytes(der + sizeof(der) - length, der + sizeof(der)) : Bytes();
    }
};

} // namespace

Digest sha256(ByteView first, ByteView then) {
    return Sha256().update(first).update(then).finish();
}

struct Sha256::State {
    mbedtls_sha256_context context;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
    mbedtls_sha256_init(&state_->context);
    mbedtls_sha256_starts_ret(&state_->context, /*is224=*/0);
}
Sha256::~Sha256() {
    mbedtls_sha256_free(&state_->context);
}

Sha256 &Sha256::update(ByteView bytes) {
    mbedtls_sha256_update_ret(&state_->context, bytes.data(), bytes.size());
    return *this;
}

Digest Sha256::finish() {
    Digest digest;
    mbedtls_sha256_finish_ret(&state_->context, digest.data());
    return digest;
}

struct VerifyingKey::Impl {
    KeyContext key;
    Bytes spki;
};

VerifyingKey::VerifyingKey(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {
}
VerifyingKey::VerifyingKey(const VerifyingKey &) = default;
VerifyingKey::VerifyingKey(VerifyingKey &&) noexcept = default;
VerifyingKey &VerifyingKey::operator=(VerifyingKey other) noexcept {
    impl_.swap(other.impl_);
    return *this;
}
VerifyingKey::~VerifyingKey() = default;

Result<VerifyingKey> VerifyingKey::from_spki(ByteView der) {
    auto impl = std::make_shared<Impl>();
    if (mbedtls_pk_parse_public_key(&impl->key.pk, der.data(), der.size()) != 0)
        return Error{"not a DER SubjectPublicKeyInfo"};
    if (!impl->key.is_p256())
        return Error{"not an ECDSA P-256 key"};
    impl->spki = impl->key.spki();
    // A key is named by the hash of these bytes, so only their one canonical form is taken.
    if (!equal(impl->spki, der))
        return Error{"not a canonical SubjectPublicKeyInfo"};
    return VerifyingKey(std::move(impl));
}

Result<VerifyingKey> VerifyingKey::from_ed25519(ByteView) {
    return Error{"Ed25519 is not supported on the host"};
}

KeyType VerifyingKey::type() const {
    return KeyType::kEcdsaP256;
}
const Bytes &VerifyingKey::spki() const {
    return impl_->spki;
}

bool VerifyingKey::verify(ByteView message, ByteView signature) const {
    Digest digest = sha256(message);
    return mbedtls_ecdsa_read_signature(impl_->key.ecdsa(), digest.data(), digest.size(),
                                        signature.data(), signature.size()) == 0;
}

struct SigningKey::Impl {
    KeyContext key;
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    Impl() {
        mbedtls_entropy_init(&entropy);
        mbedtls_ctr_drbg_init(&random);
    }
    ~Impl() {
        mbedtls_ctr_drbg_free(&random);
        mbedtls_entropy_free(&entropy);
    }
    Impl(const Impl &) = delete;
    Impl &operator=(const Impl &) = delete;
};

SigningKey::SigningKey(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
}
SigningKey::SigningKey(SigningKey &&) noexcept = default;
SigningKey &SigningKey::operator=(SigningKey &&) noexcept = default;
SigningKey::~SigningKey() = default;

Result<SigningKey> SigningKey::from_pem(const std::string &pem) {
    auto impl = std::make_unique<Impl>();
    // PEM is taken only with its final zero byte counted.
    if (mbedtls_pk_parse_key(&impl->key.pk, reinterpret_cast<const unsigned char *>(pem.c_str()),
                             pem.size() + 1, nullptr, 0) != 0)
        return Error{"not an unencrypted PEM private key"};
    if (!impl->key.is_p256())
        return Error{"not an ECDSA P-256 key"};
    if (mbedtls_ctr_drbg_seed(&impl->random, mbedtls_entropy_func, &impl->entropy, nullptr, 0) != 0)
        return Error{"the random number generator could not be seeded"};
    return SigningKey(std::move(impl));
}

VerifyingKey SigningKey::verifying_key() const {
    auto copy = std::make_shared<VerifyingKey::Impl>();
    copy->spki = impl_->key.spki();
    // Just written by the same library: it reads its own.
    mbedtls_pk_parse_public_key(&copy->key.pk, copy->spki.data(), copy->spki.size());
    return VerifyingKey(std::move(copy));
}

Result<Bytes> SigningKey::sign(ByteView message) const {
    Digest digest = sha256(message);
    Bytes signature(MBEDTLS_ECDSA_MAX_LEN);
    size_t size = 0;
    if (mbedtls_ecdsa_write_signature(impl_->key.ecdsa(), MBEDTLS_MD_SHA256, digest.data(),
                                      digest.size(), signature.data(), &size,
                                      mbedtls_ctr_drbg_random, &impl_->random) != 0)
        return Error{"sign: mbedTLS failed"};
    signature.resize(size);
    return signature;
}

} // namespace tally
