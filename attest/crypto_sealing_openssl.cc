// Sealing on the central side: OpenSSL 3.
#include "attest/crypto_sealing.h"

#include "attest/openssl_free.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

namespace tally {

namespace {

constexpr size_t kScalarSize = 32;
constexpr size_t kPointSize = 65;
constexpr const char *kGroup = "prime256v1";

using Key = std::unique_ptr<EVP_PKEY, FreeBy<EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, FreeBy<EVP_PKEY_CTX_free>>;
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, FreeBy<EVP_CIPHER_CTX_free>>;
using Number = std::unique_ptr<BIGNUM, FreeBy<BN_clear_free>>;
using Group = std::unique_ptr<EC_GROUP, FreeBy<EC_GROUP_free>>;
using Point = std::unique_ptr<EC_POINT, FreeBy<EC_POINT_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, FreeBy<OSSL_PARAM_BLD_free>>;
using Parameters = std::unique_ptr<OSSL_PARAM, FreeBy<OSSL_PARAM_free>>;
using Input = std::unique_ptr<BIO, FreeBy<BIO_free>>;

// From a point, and the scalar that leads to it if there is one. OpenSSL checks the point.
Key make_key(ByteView point, const BIGNUM *scalar) {
    Builder builder(OSSL_PARAM_BLD_new());
    if (!builder ||
        OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, kGroup, 0) !=
            1 ||
        OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                         point.size()) != 1 ||
        (scalar != nullptr &&
         OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, scalar) != 1))
        return nullptr;
    Parameters parameters(OSSL_PARAM_BLD_to_param(builder.get()));
    KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
    EVP_PKEY *key = nullptr;
    if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &key,
                          scalar != nullptr ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
                          parameters.get()) != 1)
        return nullptr;
    return Key(key);
}

Result<Bytes> point_of(const EVP_PKEY *key) {
    char group[32] = {};
    size_t length = 0;
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
        EVP_PKEY_get_group_name(key, group, sizeof(group), &length) != 1 ||
        std::string_view(group, length) != kGroup)
        return Error{"not a P-256 key"};
    Bytes point(kPointSize);
    if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size(),
                                        &length) != 1 ||
        length != kPointSize || point[0] != 0x04)
        return Error{"not a P-256 key with an uncompressed point"};
    return point;
}

} // namespace

Digest hmac_sha256(ByteView key, ByteView message) {
    Digest digest;
    unsigned int size = digest.size();
    // A key of no bytes is one all the same: null would ask OpenSSL for the one before.
    HMAC(EVP_sha256(), key.empty() ? reinterpret_cast<const unsigned char *>("") : key.data(),
         static_cast<int>(key.size()), message.data(), message.size(), digest.data(), &size);
    return digest;
}

struct AgreementKey::Impl {
    Key key;
    Bytes point;
};

AgreementKey::AgreementKey(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
}
AgreementKey::AgreementKey(AgreementKey &&) noexcept = default;
AgreementKey &AgreementKey::operator=(AgreementKey &&) noexcept = default;
AgreementKey::~AgreementKey() = default;

Result<AgreementKey> AgreementKey::generate() {
    Key key(EVP_EC_gen(kGroup));
    if (!key)
        return Error{"make a P-256 key: OpenSSL failed"};
    auto point = point_of(key.get());
    if (!point)
        return point.error();
    return AgreementKey(std::make_unique<Impl>(Impl{std::move(key), *std::move(point)}));
}

Result<AgreementKey> AgreementKey::from_scalar(ByteView scalar) {
    Number number(BN_bin2bn(scalar.data(), static_cast<int>(scalar.size()), nullptr));
    Group group(EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1));
    Point product(group ? EC_POINT_new(group.get()) : nullptr);
    Bytes point(kPointSize);
    if (scalar.size() != kScalarSize || !number || !product || BN_is_zero(number.get()) ||
        BN_cmp(number.get(), EC_GROUP_get0_order(group.get())) >= 0 ||
        EC_POINT_mul(group.get(), product.get(), number.get(), nullptr, nullptr, nullptr) != 1 ||
        EC_POINT_point2oct(group.get(), product.get(), POINT_CONVERSION_UNCOMPRESSED, point.data(),
                           point.size(), nullptr) != kPointSize)
        return Error{"not a P-256 private scalar"};
    Key key = make_key(point, number.get());
    if (!key)
        return Error{"not a P-256 private scalar"};
    return AgreementKey(std::make_unique<Impl>(Impl{std::move(key), std::move(point)}));
}

Result<AgreementKey> AgreementKey::from_pem(const std::string &pem) {
    Input input(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    // An empty password, so that an encrypted key is an error and not a question at the terminal.
    char no_password[] = "";
    Key key(PEM_read_bio_PrivateKey(input.get(), nullptr, nullptr, no_password));
    if (!key)
        return Error{"not an unencrypted PEM private key"};
    auto point = point_of(key.get());
    if (!point)
        return point.error();
    return AgreementKey(std::make_unique<Impl>(Impl{std::move(key), *std::move(point)}));
}

const Bytes &AgreementKey::point() const {
    return impl_->point;
}

Result<Bytes> AgreementKey::agree(ByteView point) const {
    Key theirs = point.size() == kPointSize ? make_key(point, nullptr) : nullptr;
    if (!theirs)
        return Error{"not a point on P-256"};
    KeyContext context(EVP_PKEY_CTX_new(impl_->key.get(), nullptr));
    Bytes x(kScalarSize);
    size_t size = x.size();
    if (!context || EVP_PKEY_derive_init(context.get()) != 1 ||
        EVP_PKEY_derive_set_peer(context.get(), theirs.get()) != 1 ||
        EVP_PKEY_derive(context.get(), x.data(), &size) != 1 || size != x.size())
        return Error{"agree on a key: OpenSSL failed"};
    return x;
}

Result<Bytes> gcm_seal(ByteView key, ByteView nonce, ByteView additional, ByteView plaintext) {
    Cipher cipher(EVP_CIPHER_CTX_new());
    Bytes sealed(plaintext.size() + kGcmTag);
    int size = 0;
    if (key.size() != kGcmKey || nonce.size() != kGcmNonce || !cipher ||
        EVP_EncryptInit_ex2(cipher.get(), EVP_aes_128_gcm(), key.data(), nonce.data(), nullptr) !=
            1 ||
        EVP_EncryptUpdate(cipher.get(), nullptr, &size, additional.data(),
                          static_cast<int>(additional.size())) != 1 ||
        EVP_EncryptUpdate(cipher.get(), sealed.data(), &size, plaintext.data(),
                          static_cast<int>(plaintext.size())) != 1 ||
        EVP_EncryptFinal_ex(cipher.get(), sealed.data() + size, &size) != 1 ||
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_GET_TAG, kGcmTag,
                            sealed.data() + plaintext.size()) != 1)
        return Error{"seal: OpenSSL failed"};
    return sealed;
}

Result<Bytes> gcm_open(ByteView key, ByteView nonce, ByteView additional, ByteView sealed) {
    Cipher cipher(EVP_CIPHER_CTX_new());
    if (sealed.size() < kGcmTag || key.size() != kGcmKey || nonce.size() != kGcmNonce || !cipher)
        return Error{"not sealed for this key"};
    size_t length = sealed.size() - kGcmTag;
    Bytes tag = to_bytes(sealed.subspan(length));
    // One byte more, so that there is an address to write no bytes to.
    Bytes plaintext(length + 1);
    int size = 0;
    if (EVP_DecryptInit_ex2(cipher.get(), EVP_aes_128_gcm(), key.data(), nonce.data(), nullptr) !=
            1 ||
        EVP_DecryptUpdate(cipher.get(), nullptr, &size, additional.data(),
                          static_cast<int>(additional.size())) != 1 ||
        EVP_DecryptUpdate(cipher.get(), plaintext.data(), &size, sealed.data(),
                          static_cast<int>(length)) != 1 ||
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_SET_TAG, kGcmTag, tag.data()) != 1 ||
        EVP_DecryptFinal_ex(cipher.get(), plaintext.data() + size, &size) != 1)
        return Error{"not sealed for this key, or changed since"};
    plaintext.resize(length);
    return plaintext;
}

} // namespace tally
