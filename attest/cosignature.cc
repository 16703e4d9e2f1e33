#include "attest/cosignature.h"

#include <algorithm>

namespace tally {

namespace {

constexpr uint8_t kType = 0x04;
constexpr size_t kSeconds = 8; // bytes of the timestamp before the signature

Bytes typed_witness_key(const VerifyingKey &key) {
    constexpr size_t kEd25519Prefix = 12; // RFC 8410 section 4: then the 32 bytes of RFC 8032
    Bytes typed{kType};
    append(typed, ByteView(key.spki()).subspan(kEd25519Prefix));
    return typed;
}

std::string signed_text(std::string_view note_text, uint64_t seconds) {
    return "cosignature/v1\ntime " + std::to_string(seconds) + "\n" + std::string(note_text);
}

} // namespace

Result<WitnessKey> witness_key(std::string name, const VerifyingKey &key) {
    if (key.type() != KeyType::kEd25519)
        return Error{"a witness's key must be Ed25519"};
    if (!good_note_name(name))
        return Error{"a witness's name must be printable, without space and '+'"};
    Digest hash =
        Sha256().update(view(name)).update(view("\n")).update(typed_witness_key(key)).finish();
    return WitnessKey{std::move(name), get_be32(hash.data()), key};
}

Result<WitnessKey> parse_witness_vkey(std::string_view vkey) {
    std::string name(take_until(vkey, '+'));
    std::string_view id = take_until(vkey, '+');
    auto typed = from_base64(vkey);
    if (id.size() != 8 || !typed || typed->size() != 33 || typed->front() != kType)
        return Error{"not a witness's NAME+ID+KEY"};
    auto key = VerifyingKey::from_ed25519(ByteView(*typed).subspan(1));
    if (!key)
        return key.error();
    auto parsed = witness_key(std::move(name), *key);
    if (!parsed)
        return parsed;
    Bytes expected;
    put_be32(expected, parsed->id);
    if (to_hex(expected) != id)
        return Error{"the key id does not match the key"};
    return parsed;
}

std::string to_vkey(const WitnessKey &key) {
    Bytes id;
    put_be32(id, key.id);
    return key.name + "+" + to_hex(id) + "+" + to_base64(typed_witness_key(key.key));
}

Result<std::string> cosign(std::string_view note_text, const NoteSigner &witness,
                           uint64_t seconds) {
    auto key = witness_key(witness.name, witness.key.verifying_key());
    if (!key)
        return key.error();
    auto signature = witness.key.sign(view(signed_text(note_text, seconds)));
    if (!signature)
        return signature.error();
    Bytes body;
    put_be64(body, seconds);
    append(body, *signature);
    return signature_line(key->name, key->id, body);
}

Result<std::optional<uint64_t>> check_cosignature(std::string_view note_text, std::string_view line,
                                                  const WitnessKey &key) {
    auto parsed = parse_signature_line(line);
    if (!parsed)
        return parsed.error();
    if (parsed->name != key.name || parsed->id != key.id)
        return std::optional<uint64_t>();
    if (parsed->signature.size() <= kSeconds)
        return Error{"the cosignature of " + key.name + " is cut short"};
    uint64_t seconds = get_be64(parsed->signature.data());
    if (!key.key.verify(view(signed_text(note_text, seconds)),
                        ByteView(parsed->signature).subspan(kSeconds)))
        return Error{"bad cosignature of " + key.name};
    return std::optional(seconds);
}

size_t count_cosignatures(std::string_view note, const std::vector<WitnessKey> &witnesses) {
    auto split = split_note(note);
    if (!split)
        return 0;
    return static_cast<size_t>(
        std::count_if(witnesses.begin(), witnesses.end(), [&](const WitnessKey &witness) {
            for (std::string_view rest = split->signatures; !rest.empty();) {
                auto good = check_cosignature(split->text, take_until(rest, '\n'), witness);
                if (good && *good)
                    return true;
            }
            return false;
        }));
}

} // namespace tally
