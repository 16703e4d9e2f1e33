#include "audit/certificate.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace tally {

namespace {

constexpr int kSerialBits = 127;          // RFC 5280 4.1.2.2: positive, at most 20 bytes
constexpr size_t kLongestCommonName = 64; // RFC 5280 appendix A, ub-common-name

Error openssl_error(const std::string &what) {
    char reason[256] = "unknown reason";
    if (unsigned long code = ERR_get_error(); code != 0)
        ERR_error_string_n(code, reason, sizeof(reason));
    return Error{what + ": " + reason};
}

bool set_serial(X509 *certificate) {
    std::unique_ptr<BIGNUM, decltype(&BN_free)> serial(BN_new(), BN_free);
    return serial && BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
           BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_name(X509_NAME *name, const std::string &common_name) {
    std::string text = common_name.substr(0, kLongestCommonName);
    const auto *bytes = reinterpret_cast<const unsigned char *>(text.data());
    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, bytes,
                                      static_cast<int>(text.size()), -1, 0) == 1;
}

bool add_extension(X509 *certificate, X509V3_CTX *context, int kind, const std::string &value) {
    if (value.empty())
        return true;
    std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
        X509V3_EXT_conf_nid(nullptr, context, kind, value.c_str()), X509_EXTENSION_free);
    return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

template <typename Write> std::string pem_text(Write write) {
    std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), BIO_free);
    char *data = nullptr;
    if (!out || write(out.get()) != 1)
        return "";
    long size = BIO_get_mem_data(out.get(), &data);
    return {data, static_cast<size_t>(size)};
}

Result<PrivateKey> checked(EVP_PKEY *key) {
    if (key == nullptr)
        return openssl_error("generate a key");
    return PrivateKey(key);
}

} // namespace

void FreeOpenSsl::operator()(EVP_PKEY *key) const {
    EVP_PKEY_free(key);
}
void FreeOpenSsl::operator()(X509 *certificate) const {
    X509_free(certificate);
}

Result<PrivateKey> generate_p256() {
    return checked(EVP_EC_gen("P-256"));
}
Result<PrivateKey> generate_ed25519() {
    return checked(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
}

Result<Certificate> certify(const Profile &profile, const PrivateKey &key,
                            const PrivateKey &issuer_key, const X509 *issuer) {
    Certificate made(X509_new());
    X509 *certificate = made.get();
    bool done =
        certificate != nullptr && X509_set_version(certificate, X509_VERSION_3) == 1 &&
        set_serial(certificate) && set_name(X509_get_subject_name(certificate), profile.name) &&
        X509_gmtime_adj(X509_getm_notBefore(certificate), profile.begin_seconds) != nullptr &&
        X509_gmtime_adj(X509_getm_notAfter(certificate), profile.end_seconds) != nullptr &&
        X509_set_pubkey(certificate, key.get()) == 1;
    if (!done)
        return openssl_error("certificate for " + profile.name);
    const X509 *signer = issuer != nullptr ? issuer : certificate;
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, const_cast<X509 *>(signer), certificate, nullptr, nullptr, 0);
    done = X509_set_issuer_name(certificate, X509_get_subject_name(signer)) == 1 &&
           add_extension(certificate, &context, NID_basic_constraints, profile.basic_constraints) &&
           add_extension(certificate, &context, NID_key_usage, profile.key_usage) &&
           add_extension(certificate, &context, NID_ext_key_usage, profile.extended_key_usage) &&
           add_extension(certificate, &context, NID_subject_alt_name, profile.alternative_names) &&
           add_extension(certificate, &context, NID_subject_key_identifier, "hash") &&
           add_extension(certificate, &context, NID_authority_key_identifier, "keyid:always") &&
           X509_sign(certificate, issuer_key.get(), EVP_sha256()) > 0;
    if (!done)
        return openssl_error("certificate for " + profile.name);
    return made;
}

std::string to_pem(const Certificate &certificate) {
    return pem_text([&](BIO *out) { return PEM_write_bio_X509(out, certificate.get()); });
}

std::string to_pem(const PrivateKey &key) {
    return pem_text([&](BIO *out) {
        return PEM_write_bio_PKCS8PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
}

std::string to_public_pem(const PrivateKey &key) {
    return pem_text([&](BIO *out) { return PEM_write_bio_PUBKEY(out, key.get()); });
}

Result<Bytes> random_bytes(size_t size) {
    Bytes bytes(size);
    if (RAND_bytes(bytes.data(), static_cast<int>(size)) != 1)
        return openssl_error("get random bytes");
    return bytes;
}

} // namespace tally
