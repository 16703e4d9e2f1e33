// DSSE, the signed form of a statement, and of an explanation
// (github.com/secure-systems-lab/dsse, protocol.md v1).
//
//   PAE(type, body) = "DSSEv1" SP len(type) SP type SP len(body) SP body     lengths in ASCII
//   decimal
//
// The signature is over PAE. The bytes of the envelope are stored, hashed and passed on as they
// are: protobuf has no canonical form, so nobody serialises an envelope again to check it.
#pragma once

#include "attest/crypto.h"
#include "base/bytes.h"
#include "base/result.h"

#include <string>
#include <string_view>

namespace tally {

inline constexpr std::string_view kStatementType =
    "application/vnd.tallystick.statement.v1+protobuf";
inline constexpr std::string_view kExplanationType =
    "application/vnd.tallystick.explanation.v1+protobuf";
inline constexpr size_t kMaxAttestation = 65535; // C2SP tlog-tiles: an entry's length is a uint16

Bytes dsse_pae(std::string_view type, ByteView body);

// Signs `payload` (a serialised Statement or Explanation) and returns the attestation's bytes. An
// error if they would exceed kMaxAttestation.
Result<Bytes> dsse_seal(ByteView payload, const SigningKey &key,
                        std::string_view type = kStatementType);

// An envelope taken apart; nothing is verified yet.
struct Envelope {
    std::string_view type; // one of the two
    Bytes payload;
    Bytes signature;
    std::string key_id; // a hint
};

// Refuses: over kMaxAttestation, not a protobuf, another payload type, not exactly one signature,
// or bytes other than dsse_seal would have written around this payload and signature.
Result<Envelope> dsse_open(ByteView attestation, std::string_view type = kStatementType);
// The same of whatever a log may hold: either type.
Result<Envelope> dsse_open_any(ByteView entry);

// Over its own type: no signature of one kind is one of the other.
bool dsse_verify(const Envelope &envelope, const VerifyingKey &key);

// Hex SHA-256 of the key's SubjectPublicKeyInfo.
std::string key_id(const VerifyingKey &key);

} // namespace tally
