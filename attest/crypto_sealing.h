// The crypto seam's other half: what sealing names for an auditor needs beside signatures
// (attest/hpke.h). As with crypto.h exactly one implementation is linked, and each opens what the
// other sealed.
#pragma once

#include "attest/crypto.h"

namespace tally {

Digest hmac_sha256(ByteView key, ByteView message); // RFC 2104

// A P-256 key for Diffie-Hellman (SEC 1, section 3.3.1).
class AgreementKey {
public:
    static Result<AgreementKey> generate();
    // PEM, PKCS#8 or SEC1, unencrypted.
    static Result<AgreementKey> from_pem(const std::string &pem);
    // The private scalar, 32 bytes, big-endian, in [1, order).
    static Result<AgreementKey> from_scalar(ByteView scalar);

    const Bytes &point() const; // the public half: 65 bytes, uncompressed (SEC 1, 2.3.3)
    // The x-coordinate of the shared point, 32 bytes. An error if `point` is not on the curve.
    Result<Bytes> agree(ByteView point) const;

    AgreementKey(AgreementKey &&) noexcept;
    AgreementKey &operator=(AgreementKey &&) noexcept;
    ~AgreementKey();

private:
    struct Impl;
    explicit AgreementKey(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// AES-128-GCM (NIST SP 800-38D): key 16 bytes, nonce 12, never twice under one key. The tag, 16
// bytes, stands behind the ciphertext.
inline constexpr size_t kGcmKey = 16;
inline constexpr size_t kGcmNonce = 12;
inline constexpr size_t kGcmTag = 16;
Result<Bytes> gcm_seal(ByteView key, ByteView nonce, ByteView additional, ByteView plaintext);
// An error if a bit of anything is not what it was.
Result<Bytes> gcm_open(ByteView key, ByteView nonce, ByteView additional, ByteView sealed);

} // namespace tally
