// From an attestation's bytes to a statement that may be believed: what the collector does on
// arrival and the auditor again from the log. OpenSSL side only: it judges certificates.
#pragma once

#include "attest/crypto.h"
#include "attest/dsse.h"
#include "attest/key_cache.h"
#include "attest/rules.h"

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace tally {

// The fleet's root: the CA certificate(s) that host signing certificates must chain to.
class FleetRoot {
public:
    static Result<FleetRoot> from_pem(const std::string &pem);

    struct Signer {
        KeyCache::Known known;
        std::vector<std::string> hosts; // dNSName SANs
    };
    // What a key may sign, by the extended key usages below. One that is for both is for neither.
    enum class Signs { kStatements, kExplanations };
    // Checks a signing certificate (DER): chains to the root, valid at `wall_ns` (not now: an old
    // statement stays good), keyUsage digitalSignature, and the EKU for what it signs, so that a
    // TLS key cannot sign statements, nor a host's explain what was found of it.
    Result<Signer> check(ByteView certificate, uint64_t wall_ns,
                         Signs what = Signs::kStatements) const;
    // The fleet's signing keys as they were parsed; thread-safe, bounded.
    KeyCache &keys() const;

    FleetRoot(FleetRoot &&) noexcept;
    FleetRoot &operator=(FleetRoot &&) noexcept;
    ~FleetRoot();

private:
    struct Impl;
    explicit FleetRoot(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// id-kp for signing tallystick statements: 2.25.<UUID>, an arc that needs no registration (X.667).
inline constexpr const char *kStatementSigningOid = "2.25.178307330326388478625988293987992111";
// The same for signing explanations (attest/explain.h).
inline constexpr const char *kExplanationSigningOid =
    "2.25.301654771459546570444291617678444593943";

// Everything about one attestation that does not depend on its predecessors but the signing key.
struct Opened {
    pb::Statement statement;
    Digest digest{};                // SHA-256 of the attestation
    Bytes signing_key;              // SPKI of the key whose signature was verified
    std::vector<Breach> impossible; // what the statement says and cannot be
};

// The steps, for an auditor who takes many attestations at once and must be able to show a lie, and
// a key that changed, as the host signed it. Each is thread-safe.
//
// Taken apart: an envelope that holds a statement that can be read. Nothing is verified yet; what
// it says and cannot be is in `opened.impossible`, any other breach of check_statement refuses it.
struct Unverified {
    Envelope envelope;
    Opened opened;
};
std::variant<Unverified, Breach> read_attestation(ByteView attestation);
// The same behind dsse_open: the attestation's envelope.
std::variant<Unverified, Breach> read_statement(Envelope envelope, ByteView attestation);
// The key of the certificate that the statement brings, which the root vouches for and which names
// the host.
std::variant<KeyCache::Known, Breach> certified_key(const pb::Statement &statement,
                                                    const FleetRoot &root);
// Whether it is signed by this key; if so, says so in `opened.signing_key`.
std::optional<Breach> verify_signature(Unverified &unverified, const KeyCache::Known &signer);

// All of them, and nothing impossible. `known_key` is
// ChainHead::signing_key, empty before the first statement. A certificate with another key than
// `known_key` is refused: keys rotate by a statement signed with the old key.
std::variant<Opened, Breach> open_attestation(ByteView attestation, ByteView known_key,
                                              const FleetRoot &root);

// open_attestation, check_follows, advance. On a breach `head` is as it was.
std::variant<Opened, Breach> admit(ChainHead &head, ByteView attestation, const FleetRoot &root);

} // namespace tally
