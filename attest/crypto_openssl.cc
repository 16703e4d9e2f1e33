// The crypto seam on the central side: OpenSSL 3.
#include "attest/crypto.h"

#include "attest/openssl_free.h"

#include <mutex>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

namespace tally {

namespace {

using Key = std::unique_ptr<EVP_PKEY, FreeBy<EVP_PKEY_free>>;
using Context = std::unique_ptr<EVP_MD_CTX, FreeBy<EVP_MD_CTX_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, FreeBy<EVP_PKEY_CTX_free>>;

Result<KeyType> type_of(const EVP_PKEY *key) {
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519)
        return KeyType::kEd25519;
    char group[32] = {};
    size_t length = 0;
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
        EVP_PKEY_get_group_name(key, group, sizeof(group), &length) == 1 &&
        std::string_view(group, length) == "prime256v1")
        return KeyType::kEcdsaP256;
    return Error{"not an ECDSA P-256 or Ed25519 key"};
}

// What every uncompressed P-256 SubjectPublicKeyInfo begins with; its point follows.
constexpr uint8_t kP256Prefix[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                   0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                   0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};
constexpr size_t kPointSize = 65;

bool is_plain_p256(ByteView der) {
    return der.size() == sizeof(kP256Prefix) + kPointSize && der[sizeof(kP256Prefix)] == 0x04 &&
           equal(der.first(sizeof(kP256Prefix)), kP256Prefix);
}

// Null for a point that is not on the curve. A tenth of what OpenSSL's decoders take.
Key p256_of(ByteView point) {
    KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
    std::string group = "prime256v1";
    Bytes bytes = to_bytes(point);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group.data(), 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, bytes.data(), bytes.size()),
        OSSL_PARAM_construct_end()};
    EVP_PKEY *key = nullptr;
    if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
        return nullptr;
    return Key(key);
}

Bytes spki_of(EVP_PKEY *key) {
    unsigned char *der = nullptr;
    int length = i2d_PUBKEY(key, &der);
    Bytes spki(der, der + (length > 0 ? length : 0));
    OPENSSL_free(der);
    return spki;
}

// Fetched once: EVP_sha256() is looked up anew in OpenSSL's providers at every use.
const EVP_MD *sha256_method() {
    static const EVP_MD *const method = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    return method;
}

// Ready to verify digests, for to look the algorithm up anew in OpenSSL's providers costs much
// more. Null for Ed25519, which takes messages.
KeyContext verifier_of(EVP_PKEY *key, KeyType type) {
    if (type != KeyType::kEcdsaP256)
        return nullptr;
    KeyContext context(EVP_PKEY_CTX_new(key, nullptr));
    if (!context || EVP_PKEY_verify_init(context.get()) != 1)
        return nullptr;
    return context;
}

const EVP_MD *digest_for(KeyType type) {
    return type == KeyType::kEcdsaP256 ? sha256_method() : nullptr;
}

} // namespace

// One context a thread: to make and free one costs as much as to hash a tree's node.
Digest sha256(ByteView first, ByteView then) {
    static thread_local const Context context(EVP_MD_CTX_new());
    Digest digest;
    EVP_DigestInit_ex2(context.get(), sha256_method(), nullptr);
    EVP_DigestUpdate(context.get(), first.data(), first.size());
    EVP_DigestUpdate(context.get(), then.data(), then.size());
    EVP_DigestFinal_ex(context.get(), digest.data(), nullptr);
    return digest;
}

namespace {
thread_local Context spare; // the last one that this thread was done with
} // namespace

struct Sha256::State {
    Context context{spare ? std::move(spare) : Context(EVP_MD_CTX_new())};
    ~State() { spare = std::move(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
    EVP_DigestInit_ex2(state_->context.get(), sha256_method(), nullptr);
}
Sha256::~Sha256() = default;

Sha256 &Sha256::update(ByteView bytes) {
    EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size());
    return *this;
}

Digest Sha256::finish() {
    Digest digest;
    EVP_DigestFinal_ex(state_->context.get(), digest.data(), nullptr);
    return digest;
}

struct VerifyingKey::Impl {
    Impl(Key a_key, KeyType a_type, Bytes an_spki)
        : key(std::move(a_key)), type(a_type), spki(std::move(an_spki)),
          verifier(verifier_of(key.get(), type)) {}
    Key key;
    KeyType type;
    Bytes spki;
    KeyContext verifier;
    mutable std::mutex verifying;
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
    if (is_plain_p256(der)) { // nearly all, and canonical as it stands
        Key key = p256_of(der.subspan(sizeof(kP256Prefix)));
        if (!key)
            return Error{"not a DER SubjectPublicKeyInfo"};
        return VerifyingKey(
            std::make_shared<Impl>(std::move(key), KeyType::kEcdsaP256, to_bytes(der)));
    }
    const unsigned char *at = der.data();
    Key key(d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size())));
    if (!key || at != der.data() + der.size())
        return Error{"not a DER SubjectPublicKeyInfo"};
    auto type = type_of(key.get());
    if (!type)
        return type.error();
    Bytes spki = spki_of(key.get());
    // A key is named by the hash of these bytes, so only their one canonical form is taken.
    if (!equal(spki, der))
        return Error{"not a canonical SubjectPublicKeyInfo"};
    return VerifyingKey(std::make_shared<Impl>(std::move(key), *type, std::move(spki)));
}

Result<VerifyingKey> VerifyingKey::from_ed25519(ByteView raw) {
    Key key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw.data(), raw.size()));
    if (!key)
        return Error{"not an Ed25519 public key"};
    Bytes spki = spki_of(key.get());
    return VerifyingKey(std::make_shared<Impl>(std::move(key), KeyType::kEd25519, std::move(spki)));
}

KeyType VerifyingKey::type() const {
    return impl_->type;
}
const Bytes &VerifyingKey::spki() const {
    return impl_->spki;
}

bool VerifyingKey::verify(ByteView message, ByteView signature) const {
    if (impl_->type == KeyType::kEcdsaP256) {
        Digest digest = sha256(message);
        // One thread at a time may use a context. Another one copies it instead of waiting, which
        // adds a twentieth to what it does.
        std::unique_lock alone(impl_->verifying, std::try_to_lock);
        KeyContext copy(alone || !impl_->verifier ? nullptr
                                                  : EVP_PKEY_CTX_dup(impl_->verifier.get()));
        EVP_PKEY_CTX *context = alone ? impl_->verifier.get() : copy.get();
        return context != nullptr && EVP_PKEY_verify(context, signature.data(), signature.size(),
                                                     digest.data(), digest.size()) == 1;
    }
    Context context(EVP_MD_CTX_new());
    return EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, impl_->key.get()) == 1 &&
           EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                            message.size()) == 1;
}

struct SigningKey::Impl {
    Key key;
    VerifyingKey verifying;
};

SigningKey::SigningKey(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
}
SigningKey::SigningKey(SigningKey &&) noexcept = default;
SigningKey &SigningKey::operator=(SigningKey &&) noexcept = default;
SigningKey::~SigningKey() = default;

Result<SigningKey> SigningKey::from_pem(const std::string &pem) {
    std::unique_ptr<BIO, decltype(&BIO_free)> input(
        BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
    // An empty password, so that an encrypted key is an error and not a question at the terminal.
    char no_password[] = "";
    Key key(PEM_read_bio_PrivateKey(input.get(), nullptr, nullptr, no_password));
    if (!key)
        return Error{"not an unencrypted PEM private key"};
    auto type = type_of(key.get());
    if (!type)
        return type.error();
    EVP_PKEY_up_ref(key.get());
    Key shared(key.get());
    Bytes spki = spki_of(shared.get());
    VerifyingKey verifying(
        std::make_shared<VerifyingKey::Impl>(std::move(shared), *type, std::move(spki)));
    return SigningKey(std::make_unique<Impl>(Impl{std::move(key), std::move(verifying)}));
}

VerifyingKey SigningKey::verifying_key() const {
    return impl_->verifying;
}

Result<Bytes> SigningKey::sign(ByteView message) const {
    Context context(EVP_MD_CTX_new());
    size_t size = 0;
    if (EVP_DigestSignInit(context.get(), nullptr, digest_for(impl_->verifying.type()), nullptr,
                           impl_->key.get()) != 1 ||
        EVP_DigestSign(context.get(), nullptr, &size, message.data(), message.size()) != 1)
        return Error{"sign: OpenSSL refused the key"};
    Bytes signature(size);
    if (EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) != 1)
        return Error{"sign: OpenSSL failed"};
    signature.resize(size);
    return signature;
}

} // namespace tally
