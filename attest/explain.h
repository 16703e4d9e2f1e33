// Explanations: what an auditor or operator says about findings, signed with a key that the fleet's
// root certified for that and nothing else. A finding is open or explained, never deleted: an
// explanation is an entry of the log like any other, and of a finding's explanations the last in
// the log counts, whoever signed it. OpenSSL side only; hosts never see one.
#pragma once

#include "attest/admit.h"
#include "attest/explanation.pb.h"

#include <optional>
#include <string>
#include <variant>

namespace tally {

inline constexpr int kMostExplained = 32; // findings, by one explanation
inline constexpr size_t kLongestWhy = 1000;
inline constexpr size_t kLongestReference = 200;

// Rules on an explanation alone:
//   1 to kMostExplained findings, each by kind, number, entry and host, none twice
//   why: not blank; why and reference: one line of printable ASCII, of bounded length, so that no
//   terminal, table or spreadsheet is led astray by them
//   a time and a certificate
std::optional<Breach> check_explanation(const pb::Explanation &explanation);

struct OpenedExplanation {
    pb::Explanation explanation;
    Digest digest{};        // SHA-256 of the entry
    Digest signed_digest{}; // of the payload. What was signed once counts once: ECDSA gives one
                            // payload many signatures, and so one explanation many entries
    std::string who;        // the one common name in the signer's certificate, printable
};

// Taken apart and held against the rules; nothing is verified yet.
struct UnverifiedExplanation {
    Envelope envelope;
    OpenedExplanation opened;
};
std::variant<UnverifiedExplanation, Breach> read_explanation(ByteView entry);
// The same behind dsse_open: the entry's envelope.
std::variant<UnverifiedExplanation, Breach> read_explanation(Envelope envelope, ByteView entry);

// Whether its certificate may explain, by the root and at the explanation's own time, and its key
// signed it.
std::optional<Breach> verify_explanation(const UnverifiedExplanation &explanation,
                                         const FleetRoot &root);

// Both. Whether the entries it names are in the log is for whoever has the log.
std::variant<OpenedExplanation, Breach> open_explanation(ByteView entry, const FleetRoot &root);

// An entry of a log, whichever it is, taken apart: dsse_open_any, then read_attestation or
// read_explanation. An unknown payload type is a breach.
using UnverifiedEntry = std::variant<Unverified, UnverifiedExplanation>;
std::variant<UnverifiedEntry, Breach> read_entry(ByteView entry);

// The same, believed.
using OpenedEntry = std::variant<Opened, OpenedExplanation>;

// What an unverified entry claims to be, for an error's text: "host X, sequence N: ",
// "an explanation: ", or nothing where it cannot be read.
std::string claimed_origin(ByteView entry);

} // namespace tally
