// Makes keys and X.509 certificates (RFC 5280) with OpenSSL, for throw-away fleets alone: a real
// fleet's certificates come from its own authority.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <cstdint>
#include <memory>
#include <string>

struct evp_pkey_st; // OpenSSL's EVP_PKEY
struct x509_st;     // OpenSSL's X509

namespace tally {

struct FreeOpenSsl {
    void operator()(evp_pkey_st *key) const;
    void operator()(x509_st *certificate) const;
};
using PrivateKey = std::unique_ptr<evp_pkey_st, FreeOpenSsl>;
using Certificate = std::unique_ptr<x509_st, FreeOpenSsl>;

Result<PrivateKey> generate_p256();
Result<PrivateKey> generate_ed25519();

struct Profile {
    std::string name;              // common name
    std::string basic_constraints; // extensions as x509v3_config(5) spells them; empty: left out
    std::string key_usage;
    std::string extended_key_usage;
    std::string alternative_names;
    int64_t begin_seconds = 0; // notBefore and notAfter, from now
    int64_t end_seconds = 0;
};

// Certifies `key`'s public half with a random serial. Without an issuer it signs itself.
Result<Certificate> certify(const Profile &profile, const PrivateKey &key,
                            const PrivateKey &issuer_key, const x509_st *issuer = nullptr);

std::string to_pem(const Certificate &certificate);
std::string to_pem(const PrivateKey &key); // PKCS#8, unencrypted
std::string to_public_pem(const PrivateKey &key);

Result<Bytes> random_bytes(size_t size);

} // namespace tally
