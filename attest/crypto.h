// The crypto seam: everything tallystick asks of a crypto library that both sides need. Exactly one
// implementation is linked: crypto_mbedtls.cc (agent) or crypto_openssl.cc (collector, audit).
// Each checks the other's output in tests/unit/attest/.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <array>
#include <memory>
#include <string>

namespace tally {

using Digest = std::array<uint8_t, 32>; // SHA-256

Digest sha256(ByteView first, ByteView then = {}); // of one after the other

// Over several pieces without joining them first.
class Sha256 {
public:
    Sha256();
    ~Sha256();
    Sha256(const Sha256 &) = delete;
    Sha256 &operator=(const Sha256 &) = delete;
    Sha256 &update(ByteView bytes);
    Digest finish(); // once

private:
    struct State;
    std::unique_ptr<State> state_;
};

enum class KeyType {
    kEcdsaP256, // SHA-256, signatures in ASN.1 DER
    kEd25519,   // OpenSSL side only; mbedTLS has no EdDSA
};

class VerifyingKey {
public:
    // From a DER SubjectPublicKeyInfo (RFC 5280 4.1.2.7). Refuses curves other than P-256.
    static Result<VerifyingKey> from_spki(ByteView der);
    // The 32 bytes of RFC 8032. An error on the mbedTLS side.
    static Result<VerifyingKey> from_ed25519(ByteView raw);

    KeyType type() const;
    const Bytes &spki() const; // DER
    // Whether `signature` is this key's over `message`. Malformed signatures are simply false.
    bool verify(ByteView message, ByteView signature) const;

    VerifyingKey(const VerifyingKey &);
    VerifyingKey(VerifyingKey &&) noexcept;
    VerifyingKey &operator=(VerifyingKey) noexcept;
    ~VerifyingKey();

private:
    friend class SigningKey;
    struct Impl;
    explicit VerifyingKey(std::shared_ptr<const Impl> impl);
    std::shared_ptr<const Impl> impl_;
};

class SigningKey {
public:
    // PEM, PKCS#8 or SEC1, unencrypted.
    static Result<SigningKey> from_pem(const std::string &pem);

    VerifyingKey verifying_key() const;
    Result<Bytes> sign(ByteView message) const;

    SigningKey(SigningKey &&) noexcept;
    SigningKey &operator=(SigningKey &&) noexcept;
    ~SigningKey();

private:
    struct Impl;
    explicit SigningKey(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

} // namespace tally
