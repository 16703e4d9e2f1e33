// Hybrid Public Key Encryption, RFC 9180: base mode, DHKEM(P-256, HKDF-SHA256), HKDF-SHA256,
// AES-128-GCM (ids 0x0010, 0x0001, 0x0001). One suite, no export, no pre-shared key: what sealing
// names to an auditor needs. Held to the RFC's vectors (appendix A.3.1) on both sides of the seam.
#pragma once

#include "attest/crypto_sealing.h"

namespace tally {

// The public half of a recipient's key, as a point, from a PEM SubjectPublicKeyInfo. A private key
// in its place is an error that says so.
Result<Bytes> hpke_public_key(const std::string &pem);
// SHA-256 of that key as a DER SubjectPublicKeyInfo.
Digest hpke_key_id(ByteView point);

// Encrypts a sequence of messages to one recipient.
class HpkeSender {
public:
    // `ephemeral` is for this sender alone: AgreementKey::generate(). `info` must be the
    // receiver's.
    static Result<HpkeSender> start(const AgreementKey &ephemeral, ByteView recipient_point,
                                    ByteView info);

    const Bytes &encapsulated() const { return encapsulated_; } // 65 bytes, for the receiver
    uint64_t next() const { return next_; } // the number of the message that comes next, from 0
    Result<Bytes> seal(ByteView additional, ByteView plaintext);

private:
    HpkeSender(Bytes encapsulated, Bytes key, Bytes nonce)
        : encapsulated_(std::move(encapsulated)), key_(std::move(key)), nonce_(std::move(nonce)) {}
    Bytes encapsulated_;
    Bytes key_;
    Bytes nonce_;
    uint64_t next_ = 0;
};

// Opens them in any order, each by its number.
class HpkeReceiver {
public:
    static Result<HpkeReceiver> start(const AgreementKey &recipient, ByteView encapsulated,
                                      ByteView info);
    Result<Bytes> open(uint64_t number, ByteView additional, ByteView sealed) const;

private:
    HpkeReceiver(Bytes key, Bytes nonce) : key_(std::move(key)), nonce_(std::move(nonce)) {}
    Bytes key_;
    Bytes nonce_;
};

} // namespace tally
