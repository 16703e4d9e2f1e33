// Sealing on the host: mbedTLS 2.28.
#include "attest/crypto_sealing.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/ecdh.h>
#include <mbedtls/ecp.h>
#include <mbedtls/entropy.h>
#include <mbedtls/gcm.h>
#include <mbedtls/md.h>
#include <mbedtls/pk.h>

namespace tally {

namespace {

constexpr size_t kScalarSize = 32;
constexpr size_t kPointSize = 65;

struct Random {
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    Random() {
        mbedtls_entropy_init(&entropy);
        mbedtls_ctr_drbg_init(&random);
    }
    ~Random() {
        mbedtls_ctr_drbg_free(&random);
        mbedtls_entropy_free(&entropy);
    }
    Random(const Random &) = delete;
    Random &operator=(const Random &) = delete;
    bool seed() {
        return mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, nullptr, 0) == 0;
    }
};

struct Point {
    mbedtls_ecp_point point;
    Point() { mbedtls_ecp_point_init(&point); }
    ~Point() { mbedtls_ecp_point_free(&point); }
    Point(const Point &) = delete;
    Point &operator=(const Point &) = delete;
};

struct Number {
    mbedtls_mpi mpi;
    Number() { mbedtls_mpi_init(&mpi); }
    ~Number() { mbedtls_mpi_free(&mpi); }
    Number(const Number &) = delete;
    Number &operator=(const Number &) = delete;
};

struct Gcm {
    mbedtls_gcm_context context;
    Gcm() { mbedtls_gcm_init(&context); }
    ~Gcm() { mbedtls_gcm_free(&context); }
    Gcm(const Gcm &) = delete;
    Gcm &operator=(const Gcm &) = delete;
    bool set_key(ByteView key) {
        return key.size() == kGcmKey &&
               mbedtls_gcm_setkey(&context, MBEDTLS_CIPHER_ID_AES, key.data(), kGcmKey * 8) == 0;
    }
};

} // namespace

Digest hmac_sha256(ByteView key, ByteView message) {
    Digest digest;
    mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), key.data(), key.size(),
                    message.data(), message.size(), digest.data());
    return digest;
}

struct AgreementKey::Impl {
    mbedtls_ecp_keypair pair;
    mutable Random random; // blinds the multiplication
    Bytes point;

    Impl() { mbedtls_ecp_keypair_init(&pair); }
    ~Impl() { mbedtls_ecp_keypair_free(&pair); }
    Impl(const Impl &) = delete;
    Impl &operator=(const Impl &) = delete;

    Status prepare() {
        if (!random.seed())
            return Error{"the random number generator could not be seeded"};
        if (mbedtls_ecp_group_load(&pair.grp, MBEDTLS_ECP_DP_SECP256R1) != 0)
            return Error{"P-256 is not to be had"};
        return ok();
    }
    Status write_point() {
        point.resize(kPointSize);
        size_t size = 0;
        if (mbedtls_ecp_point_write_binary(&pair.grp, &pair.Q, MBEDTLS_ECP_PF_UNCOMPRESSED, &size,
                                           point.data(), point.size()) != 0 ||
            size != kPointSize)
            return Error{"not a P-256 key"};
        return ok();
    }
};

AgreementKey::AgreementKey(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
}
AgreementKey::AgreementKey(AgreementKey &&) noexcept = default;
AgreementKey &AgreementKey::operator=(AgreementKey &&) noexcept = default;
AgreementKey::~AgreementKey() = default;

Result<AgreementKey> AgreementKey::generate() {
    auto impl = std::make_unique<Impl>();
    TALLY_TRY(impl->prepare());
    if (mbedtls_ecp_gen_keypair(&impl->pair.grp, &impl->pair.d, &impl->pair.Q,
                                mbedtls_ctr_drbg_random, &impl->random.random) != 0)
        return Error{"make a P-256 key: mbedTLS failed"};
    TALLY_TRY(impl->write_point());
    return AgreementKey(std::move(impl));
}

Result<AgreementKey> AgreementKey::from_scalar(ByteView scalar) {
    auto impl = std::make_unique<Impl>();
    TALLY_TRY(impl->prepare());
    mbedtls_ecp_keypair &pair = impl->pair;
    if (scalar.size() != kScalarSize ||
        mbedtls_mpi_read_binary(&pair.d, scalar.data(), scalar.size()) != 0 ||
        mbedtls_ecp_check_privkey(&pair.grp, &pair.d) != 0 ||
        mbedtls_ecp_mul(&pair.grp, &pair.Q, &pair.d, &pair.grp.G, mbedtls_ctr_drbg_random,
                        &impl->random.random) != 0)
        return Error{"not a P-256 private scalar"};
    TALLY_TRY(impl->write_point());
    return AgreementKey(std::move(impl));
}

Result<AgreementKey> AgreementKey::from_pem(const std::string &pem) {
    mbedtls_pk_context key;
    mbedtls_pk_init(&key);
    Bytes scalar(kScalarSize);
    // PEM is taken only with its final zero byte counted.
    bool parsed = mbedtls_pk_parse_key(&key, reinterpret_cast<const unsigned char *>(pem.c_str()),
                                       pem.size() + 1, nullptr, 0) == 0;
    bool is_p256 =
        parsed && mbedtls_pk_get_type(&key) == MBEDTLS_PK_ECKEY &&
        mbedtls_pk_ec(key)->grp.id == MBEDTLS_ECP_DP_SECP256R1 &&
        mbedtls_mpi_write_binary(&mbedtls_pk_ec(key)->d, scalar.data(), scalar.size()) == 0;
    mbedtls_pk_free(&key);
    if (!parsed)
        return Error{"not an unencrypted PEM private key"};
    if (!is_p256)
        return Error{"not a P-256 key"};
    return from_scalar(scalar);
}

const Bytes &AgreementKey::point() const {
    return impl_->point;
}

Result<Bytes> AgreementKey::agree(ByteView point) const {
    mbedtls_ecp_keypair &pair = impl_->pair;
    Point theirs;
    Number shared;
    Bytes x(kScalarSize);
    if (point.size() != kPointSize ||
        mbedtls_ecp_point_read_binary(&pair.grp, &theirs.point, point.data(), point.size()) != 0 ||
        mbedtls_ecp_check_pubkey(&pair.grp, &theirs.point) != 0)
        return Error{"not a point on P-256"};
    if (mbedtls_ecdh_compute_shared(&pair.grp, &shared.mpi, &theirs.point, &pair.d,
                                    mbedtls_ctr_drbg_random, &impl_->random.random) != 0 ||
        mbedtls_mpi_write_binary(&shared.mpi, x.data(), x.size()) != 0)
        return Error{"agree on a key: mbedTLS failed"};
    return x;
}

Result<Bytes> gcm_seal(ByteView key, ByteView nonce, ByteView additional, ByteView plaintext) {
    Gcm gcm;
    Bytes sealed(plaintext.size() + kGcmTag);
    if (nonce.size() != kGcmNonce || !gcm.set_key(key) ||
        mbedtls_gcm_crypt_and_tag(&gcm.context, MBEDTLS_GCM_ENCRYPT, plaintext.size(), nonce.data(),
                                  nonce.size(), additional.data(), additional.size(),
                                  plaintext.data(), sealed.data(), kGcmTag,
                                  sealed.data() + plaintext.size()) != 0)
        return Error{"seal: mbedTLS failed"};
    return sealed;
}

Result<Bytes> gcm_open(ByteView key, ByteView nonce, ByteView additional, ByteView sealed) {
    Gcm gcm;
    if (sealed.size() < kGcmTag || nonce.size() != kGcmNonce || !gcm.set_key(key))
        return Error{"not sealed for this key"};
    Bytes plaintext(sealed.size() - kGcmTag);
    if (mbedtls_gcm_auth_decrypt(&gcm.context, plaintext.size(), nonce.data(), nonce.size(),
                                 additional.data(), additional.size(),
                                 sealed.data() + plaintext.size(), kGcmTag, sealed.data(),
                                 plaintext.data()) != 0)
        return Error{"not sealed for this key, or changed since"};
    return plaintext;
}

} // namespace tally
