#include "attest/explain.h"

#include <memory>
#include <openssl/x509.h>
#include <set>
#include <tuple>

namespace tally {

namespace {

constexpr size_t kLongestKind = 32;
constexpr size_t kLongestHost = 253; // as check_statement; a signer's name is held to it too

Breach malformed(std::string reason) {
    return {pb::Refusal::CODE_MALFORMED, std::move(reason)};
}
Breach bad_certificate(std::string reason) {
    return {pb::Refusal::CODE_BAD_CERTIFICATE, std::move(reason)};
}

bool is_line(const std::string &text, size_t longest) {
    return text.size() <= longest && printable(text, longest) == text;
}

bool is_kind(const std::string &kind) {
    return !kind.empty() && kind.size() <= kLongestKind &&
           kind.find_first_not_of("abcdefghijklmnopqrstuvwxyz-") == std::string::npos;
}

std::optional<Breach> check_name(const pb::FindingName &name) {
    if (!is_kind(name.kind()))
        return malformed("a finding's kind is not a word");
    if (name.nth() == 0)
        return malformed("a finding is numbered zero");
    if (name.entry().size() != sizeof(Digest))
        return malformed("a finding's entry is not the 32 bytes of a SHA-256");
    if (name.host().empty() || !is_line(name.host(), kLongestHost))
        return malformed("a finding's host is not a printable name");
    return std::nullopt;
}

using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

// The subject's common name; an error unless there is exactly one.
Result<std::string> common_name(const std::string &certificate) {
    const auto *at = reinterpret_cast<const unsigned char *>(certificate.data());
    Certificate parsed(d2i_X509(nullptr, &at, static_cast<long>(certificate.size())), X509_free);
    if (!parsed)
        return Error{"is not a DER certificate"};
    const X509_NAME *subject = X509_get_subject_name(parsed.get());
    int first = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (first < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, first) >= 0)
        return Error{"does not have exactly one common name"};
    unsigned char *utf8 = nullptr;
    int length =
        ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, first)));
    std::string name(reinterpret_cast<const char *>(utf8),
                     static_cast<size_t>(length > 0 ? length : 0));
    OPENSSL_free(utf8);
    name = printable(name, kLongestHost);
    if (name.empty() || name.size() > kLongestHost)
        return Error{"has an empty or too long common name"};
    return name;
}

} // namespace

std::optional<Breach> check_explanation(const pb::Explanation &explanation) {
    if (explanation.findings().empty() || explanation.findings_size() > kMostExplained)
        return malformed("explains " + std::to_string(explanation.findings_size()) +
                         " findings: 1 to " + std::to_string(kMostExplained) + " are allowed");
    std::set<std::tuple<std::string, uint32_t, uint64_t>> named;
    for (const pb::FindingName &name : explanation.findings()) {
        if (auto breach = check_name(name))
            return breach;
        if (!named.emplace(name.kind(), name.nth(), name.log_index()).second)
            return malformed("names one finding twice");
    }
    if (explanation.why().find_first_not_of(' ') == std::string::npos)
        return malformed("does not say why");
    if (!is_line(explanation.why(), kLongestWhy))
        return malformed("why is not one line of at most 1,000 printable ASCII characters");
    if (!is_line(explanation.reference(), kLongestReference))
        return malformed("reference is not one line of at most 200 printable ASCII characters");
    if (explanation.wall_ns() == 0)
        return malformed("does not say when");
    if (explanation.certificate().empty())
        return bad_certificate("an explanation must bring its signer's certificate");
    return std::nullopt;
}

std::variant<UnverifiedExplanation, Breach> read_explanation(ByteView entry) {
    auto envelope = dsse_open(entry, kExplanationType);
    if (!envelope)
        return malformed(envelope.error().message);
    return read_explanation(*std::move(envelope), entry);
}

std::variant<UnverifiedExplanation, Breach> read_explanation(Envelope envelope, ByteView entry) {
    UnverifiedExplanation read;
    read.envelope = std::move(envelope);
    const Bytes &payload = read.envelope.payload;
    pb::Explanation &explanation = read.opened.explanation;
    if (!explanation.ParseFromArray(payload.data(), static_cast<int>(payload.size())))
        return malformed("payload is not an explanation");
    if (auto breach = check_explanation(explanation))
        return *std::move(breach);
    auto who = common_name(explanation.certificate());
    if (!who)
        return bad_certificate("signer's certificate " + who.error().message);
    read.opened.who = *std::move(who);
    read.opened.digest = sha256(entry);
    read.opened.signed_digest = sha256(payload);
    return read;
}

std::optional<Breach> verify_explanation(const UnverifiedExplanation &explanation,
                                         const FleetRoot &root) {
    const pb::Explanation &said = explanation.opened.explanation;
    auto signer =
        root.check(view(said.certificate()), said.wall_ns(), FleetRoot::Signs::kExplanations);
    if (!signer)
        return bad_certificate("signer's certificate: " + signer.error().message);
    if (!dsse_verify(explanation.envelope, signer->known.key))
        return Breach{pb::Refusal::CODE_BAD_SIGNATURE,
                      "signature is not that of its certificate's key"};
    if (explanation.envelope.key_id != signer->known.id)
        return Breach{pb::Refusal::CODE_BAD_SIGNATURE, "key id is not the signing key's"};
    return std::nullopt;
}

std::variant<OpenedExplanation, Breach> open_explanation(ByteView entry, const FleetRoot &root) {
    auto read = read_explanation(entry);
    if (auto *breach = std::get_if<Breach>(&read))
        return std::move(*breach);
    auto &unverified = std::get<UnverifiedExplanation>(read);
    if (auto breach = verify_explanation(unverified, root))
        return *std::move(breach);
    return std::move(unverified.opened);
}

std::variant<UnverifiedEntry, Breach> read_entry(ByteView entry) {
    auto envelope = dsse_open_any(entry);
    if (!envelope)
        return malformed(envelope.error().message);
    auto either = [](auto read) -> std::variant<UnverifiedEntry, Breach> {
        if (auto *breach = std::get_if<Breach>(&read))
            return std::move(*breach);
        return UnverifiedEntry(std::get<0>(std::move(read)));
    };
    if (envelope->type == kExplanationType)
        return either(read_explanation(*std::move(envelope), entry));
    return either(read_statement(*std::move(envelope), entry));
}

std::string claimed_origin(ByteView entry) {
    auto envelope = dsse_open_any(entry);
    if (!envelope)
        return "";
    if (envelope->type == kExplanationType)
        return "an explanation: ";
    pb::Statement claimed;
    if (!claimed.ParseFromArray(envelope->payload.data(),
                                static_cast<int>(envelope->payload.size())))
        return "";
    return "host " + printable(claimed.host()) + ", sequence " +
           std::to_string(claimed.sequence()) + ": ";
}

} // namespace tally
