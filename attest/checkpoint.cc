#include "attest/checkpoint.h"

#include <algorithm>
#include <optional>

namespace tally {

namespace {

constexpr uint8_t kTypeEd25519 = 0x01; // C2SP signed-note, signature types
constexpr uint8_t kTypeEcdsa = 0x02;
constexpr std::string_view kSignatureMark = "\xe2\x80\x94 "; // U+2014 EM DASH, space

// An Ed25519 key's SPKI is a fixed prefix and the 32 bytes of RFC 8032 (RFC 8410 section 4).
constexpr size_t kEd25519Prefix = 12;

Bytes typed_key(const VerifyingKey &key) {
    Bytes typed;
    if (key.type() == KeyType::kEd25519) {
        typed.push_back(kTypeEd25519);
        append(typed, ByteView(key.spki()).subspan(kEd25519Prefix));
    } else {
        typed.push_back(kTypeEcdsa);
        append(typed, key.spki());
    }
    return typed;
}

std::string checkpoint_text(const Checkpoint &checkpoint) {
    return checkpoint.origin + "\n" + std::to_string(checkpoint.size) + "\n" +
           to_base64(checkpoint.root) + "\n";
}

Result<Checkpoint> parse_text(std::string_view text) {
    for (char c : text) {
        auto byte = static_cast<uint8_t>(c);
        if ((byte < 0x20 && c != '\n') || byte == 0x7f)
            return Error{"control character in the text"};
    }
    Checkpoint checkpoint;
    std::string_view rest = text;
    checkpoint.origin = take_until(rest, '\n');
    auto size = parse_decimal(take_until(rest, '\n'));
    auto root = from_base64(take_until(rest, '\n'));
    if (checkpoint.origin.empty())
        return Error{"no origin line"};
    if (!size)
        return Error{"size: " + size.error().message};
    if (!root || root->size() != checkpoint.root.size())
        return Error{"root is not base64 of 32 bytes"};
    checkpoint.size = *size;
    std::copy(root->begin(), root->end(), checkpoint.root.begin());
    // What follows are extension lines, which the specification allows and we do not use.
    return checkpoint;
}

// The key in a vkey line, or nothing if the linked crypto cannot check its type.
Result<std::optional<NoteKey>> parse_vkey(std::string_view line) {
    std::string name(take_until(line, '+'));
    std::string_view id = take_until(line, '+');
    auto typed = from_base64(line);
    if (!good_note_name(name) || id.size() != 8 || !typed || typed->size() < 2)
        return Error{"not NAME+ID+KEY"};
    ByteView key_bytes = ByteView(*typed).subspan(1);
    auto key = typed->front() == kTypeEd25519 ? VerifyingKey::from_ed25519(key_bytes)
               : typed->front() == kTypeEcdsa ? VerifyingKey::from_spki(key_bytes)
                                              : Error{"unknown key type"};
    if (!key && typed->front() == kTypeEd25519 && key_bytes.size() == 32)
        return std::optional<NoteKey>();
    if (!key)
        return key.error();
    NoteKey parsed = note_key(name, *key);
    Bytes id_bytes;
    put_be32(id_bytes, parsed.id);
    if (to_hex(id_bytes) != id)
        return Error{"the key id does not match the key"};
    return std::optional(std::move(parsed));
}

} // namespace

bool good_note_name(std::string_view name) {
    return !name.empty() && name.size() <= 256 && name.find_first_of(" +") == std::string::npos &&
           printable(name) == name;
}

Result<Note> split_note(std::string_view note) {
    if (note.size() > kMostCheckpoint)
        return Error{"larger than 64 KiB"};
    size_t end = note.rfind("\n\n");
    if (end == std::string_view::npos || !note.ends_with('\n'))
        return Error{"not a signed note"};
    return Note{note.substr(0, end + 1), note.substr(end + 2)};
}

Result<NoteSignature> parse_signature_line(std::string_view line) {
    if (!line.starts_with(kSignatureMark))
        return Error{"a signature line does not begin with an em dash"};
    line.remove_prefix(kSignatureMark.size());
    NoteSignature parsed;
    parsed.name = take_until(line, ' ');
    auto bytes = from_base64(line);
    if (!good_note_name(parsed.name) || !bytes || bytes->size() < 5)
        return Error{"a signature line is not name and base64"};
    parsed.id = get_be32(bytes->data());
    parsed.signature.assign(bytes->begin() + 4, bytes->end());
    return parsed;
}

std::string signature_line(std::string_view name, uint32_t id, ByteView signature) {
    Bytes bytes;
    put_be32(bytes, id);
    append(bytes, signature);
    return std::string(kSignatureMark) + std::string(name) + " " + to_base64(bytes) + "\n";
}

NoteKey note_key(std::string name, const VerifyingKey &key) {
    Digest hash =
        key.type() == KeyType::kEd25519
            ? Sha256().update(view(name)).update(view("\n")).update(typed_key(key)).finish()
            : sha256(key.spki());
    return NoteKey{std::move(name), get_be32(hash.data()), key.type(), key};
}

std::string to_vkey(const NoteKey &key) {
    Bytes id;
    put_be32(id, key.id);
    return key.name + "+" + to_hex(id) + "+" + to_base64(typed_key(key.key));
}

Result<std::vector<NoteKey>> parse_vkeys(std::string_view text) {
    std::vector<NoteKey> keys;
    size_t number = 0;
    while (!text.empty()) {
        std::string_view line = take_until(text, '\n');
        number++;
        if (line.empty() || line.front() == '#')
            continue;
        auto key = parse_vkey(line);
        if (!key)
            return Error{"line " + std::to_string(number) + ": " + key.error().message};
        if (key.value())
            keys.push_back(std::move(**key));
    }
    if (keys.empty())
        return Error{"no key that can be checked here"};
    return keys;
}

Result<std::string> sign_checkpoint(const Checkpoint &checkpoint,
                                    const std::vector<NoteSigner> &signers) {
    std::string text = checkpoint_text(checkpoint);
    std::string note = text + "\n";
    for (const NoteSigner &signer : signers) {
        auto signature = signer.key.sign(view(text));
        if (!signature)
            return signature.error();
        note += signature_line(signer.name, note_key(signer.name, signer.key.verifying_key()).id,
                               *signature);
    }
    return note;
}

Result<Checkpoint> open_checkpoint(std::string_view note, const std::vector<NoteKey> &keys) {
    auto split = split_note(note);
    if (!split)
        return split.error();
    auto [text, rest] = *split;

    std::vector<bool> signed_by(keys.size());
    size_t lines = 0;
    while (!rest.empty()) {
        auto line = parse_signature_line(take_until(rest, '\n'));
        if (!line)
            return line.error();
        if (++lines > kMostSignatures)
            return Error{"more than 16 signature lines"};
        for (size_t i = 0; i < keys.size(); i++) {
            if (keys[i].name != line->name || keys[i].id != line->id)
                continue;
            if (!keys[i].key.verify(view(text), line->signature))
                return Error{"bad signature of " + keys[i].name};
            signed_by[i] = true;
        }
    }
    for (size_t i = 0; i < keys.size(); i++) {
        if (!signed_by[i])
            return Error{"not signed by key " +
                         to_vkey(keys[i]).substr(0, keys[i].name.size() + 9)};
    }
    auto checkpoint = parse_text(text);
    if (checkpoint && std::any_of(keys.begin(), keys.end(), [&](const NoteKey &key) {
            return key.name != checkpoint->origin;
        }))
        return Error{"origin " + printable(checkpoint->origin) + " is another log's"};
    return checkpoint;
}

} // namespace tally
