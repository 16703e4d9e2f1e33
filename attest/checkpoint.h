// C2SP signed-note and tlog-checkpoint: what the log's operator signs.
//
//   <origin> LF <size, decimal> LF <base64 root> LF          the signed text
//   LF
//   U+2014 SP <key name> SP base64(key id || signature) LF   one line per signature
//
// A checkpoint carries two: Ed25519 (type 0x01, key id SHA-256(name || LF || 0x01 || key)[:4]),
// what witnesses and public clients demand, and ECDSA P-256 (type 0x02, key id SHA-256(SPKI)[:4],
// DER over the text), what the agent's mbedTLS can check. Keys travel as vkeys, one a line:
//
//   <name> "+" <8 hex digits key id> "+" base64(type || key)     Ed25519: 32 bytes; ECDSA: SPKI DER
#pragma once

#include "attest/crypto.h"

#include <string>
#include <string_view>
#include <vector>

namespace tally {

// A signed note in its two parts, as views into it.
struct Note {
    std::string_view text; // what is signed, with its last newline
    std::string_view signatures;
};
Result<Note> split_note(std::string_view note);

// One signature line.
struct NoteSignature {
    std::string_view name;
    uint32_t id = 0;
    Bytes signature;
};
Result<NoteSignature> parse_signature_line(std::string_view line); // without its newline
std::string signature_line(std::string_view name, uint32_t id, ByteView signature);
inline constexpr size_t kMostSignatures = 16;    // in one note
inline constexpr size_t kMostCheckpoint = 65536; // bytes of a checkpoint, with its signatures

struct Checkpoint {
    std::string origin; // schema-less URL, "log.example.com/fleet1"
    uint64_t size = 0;
    Digest root{};
};

// Of keys and logs: not empty, printable, without space and plus.
bool good_note_name(std::string_view name);

// One public key of the log, as named in a vkey line.
struct NoteKey {
    std::string name;
    uint32_t id = 0;
    KeyType type = KeyType::kEcdsaP256;
    VerifyingKey key;
};

NoteKey note_key(std::string name, const VerifyingKey &key);
std::string to_vkey(const NoteKey &key);

// Reads a file's text of vkey lines ('#' comments and empty lines allowed); at least one key. A key
// of a type the linked crypto cannot check (Ed25519 on the agent) is left out; an error if that
// leaves none.
Result<std::vector<NoteKey>> parse_vkeys(std::string_view text);

struct NoteSigner {
    std::string name;
    SigningKey key;
};

// The signed note for `checkpoint`, one signature line per signer.
Result<std::string> sign_checkpoint(const Checkpoint &checkpoint,
                                    const std::vector<NoteSigner> &signers);

// Parses the note and demands a good signature of every key in `keys`; signature lines of other
// keys are ignored, a bad signature of a known key is an error. Also refuses an origin other than
// the keys' name, at most 16 signature lines, control characters, text that is not canonical.
Result<Checkpoint> open_checkpoint(std::string_view note, const std::vector<NoteKey> &keys);

} // namespace tally
