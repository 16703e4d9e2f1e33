#include "attest/dsse.h"

#include "attest/envelope.pb.h"

namespace tally {

namespace pb = tallystick::v1;

namespace {

Bytes serialise(std::string_view payload, std::string_view type, std::string_view signature,
                const std::string &key_id) {
    pb::Envelope envelope;
    envelope.set_payload(payload.data(), payload.size());
    envelope.set_payloadtype(std::string(type));
    pb::Signature &line = *envelope.add_signatures();
    line.set_sig(signature.data(), signature.size());
    line.set_keyid(key_id);
    Bytes bytes(envelope.ByteSizeLong());
    envelope.SerializeToArray(bytes.data(), static_cast<int>(bytes.size()));
    return bytes;
}

Error unknown_type(const std::string &type) {
    return Error{"payload type \"" + printable(type, 64) + "\" is none that this version knows: " +
                 std::string(kStatementType) + ", " + std::string(kExplanationType)};
}

constexpr int kLengthDelimited = 2; // protobuf's wire type

// Takes the tag and the length from the front of `rest` if they are in their shortest form.
bool take_head(ByteView &rest, uint8_t tag, size_t length) {
    if (rest.empty() || rest[0] != tag)
        return false;
    rest = rest.subspan(1);
    for (;; length >>= 7) {
        auto byte = static_cast<uint8_t>((length & 0x7f) | (length > 0x7f ? 0x80 : 0));
        if (rest.empty() || rest[0] != byte)
            return false;
        rest = rest.subspan(1);
        if (length <= 0x7f)
            return true;
    }
}

bool take_field(ByteView &rest, int number, std::string_view value) {
    if (value.empty())
        return true; // proto3 leaves it out
    if (!take_head(rest, static_cast<uint8_t>(number << 3 | kLengthDelimited), value.size()) ||
        rest.size() < value.size() || !equal(rest.first(value.size()), view(value)))
        return false;
    rest = rest.subspan(value.size());
    return true;
}

// Whether `rest` is what serialise() writes of `envelope`, without writing it.
bool is_canonical(const pb::Envelope &envelope, ByteView rest) {
    const pb::Signature &line = envelope.signatures(0);
    return take_field(rest, pb::Envelope::kPayloadFieldNumber, envelope.payload()) &&
           take_field(rest, pb::Envelope::kPayloadTypeFieldNumber, envelope.payloadtype()) &&
           take_head(rest, pb::Envelope::kSignaturesFieldNumber << 3 | kLengthDelimited,
                     line.ByteSizeLong()) &&
           take_field(rest, pb::Signature::kSigFieldNumber, line.sig()) &&
           take_field(rest, pb::Signature::kKeyidFieldNumber, line.keyid()) && rest.empty();
}

} // namespace

Bytes dsse_pae(std::string_view type, ByteView body) {
    Bytes pae;
    pae.reserve(body.size() + type.size() + 64);
    append(pae, view("DSSEv1 " + std::to_string(type.size()) + " "));
    append(pae, view(type));
    append(pae, view(" " + std::to_string(body.size()) + " "));
    append(pae, body);
    return pae;
}

std::string key_id(const VerifyingKey &key) {
    return to_hex(sha256(key.spki()));
}

Result<Bytes> dsse_seal(ByteView payload, const SigningKey &key, std::string_view type) {
    auto signature = key.sign(dsse_pae(type, payload));
    if (!signature)
        return signature.error();
    Bytes attestation =
        serialise(text(payload), type, text(*signature), key_id(key.verifying_key()));
    if (attestation.size() > kMaxAttestation)
        return Error{"attestation of " + std::to_string(attestation.size()) +
                     " bytes: at most 65,535 fit in the log"};
    return attestation;
}

Result<Envelope> dsse_open_any(ByteView entry) {
    if (entry.size() > kMaxAttestation)
        return Error{"attestation of " + std::to_string(entry.size()) +
                     " bytes: at most 65,535 are allowed"};
    pb::Envelope parsed;
    if (!parsed.ParseFromArray(entry.data(), static_cast<int>(entry.size())))
        return Error{"not a DSSE envelope"};
    std::string_view type =
        parsed.payloadtype() == kExplanationType ? kExplanationType : kStatementType;
    if (parsed.payloadtype() != type)
        return unknown_type(parsed.payloadtype());
    if (parsed.signatures_size() != 1)
        return Error{"envelope has " + std::to_string(parsed.signatures_size()) +
                     " signatures: exactly one is allowed"};
    const pb::Signature &line = parsed.signatures(0);
    // The signature covers the payload alone. So that nothing else can ride along, the envelope
    // must be the very bytes that dsse_seal would have written: known fields only, each once, in
    // order.
    if (!is_canonical(parsed, entry))
        return Error{"envelope is not in its canonical form"};
    return Envelope{type, to_bytes(view(parsed.payload())), to_bytes(view(line.sig())),
                    line.keyid()};
}

Result<Envelope> dsse_open(ByteView attestation, std::string_view type) {
    auto envelope = dsse_open_any(attestation);
    if (envelope && envelope->type != type)
        return Error{"payload type \"" + std::string(envelope->type) + "\" is not " +
                     std::string(type)};
    return envelope;
}

bool dsse_verify(const Envelope &envelope, const VerifyingKey &key) {
    return key.verify(dsse_pae(envelope.type, envelope.payload), envelope.signature);
}

} // namespace tally
