// C2SP tlog-cosignature: what a witness adds to a log's checkpoint, that it has seen the log only
// grow. Ed25519, so the central side only.
//
//   signed:  "cosignature/v1" LF "time " <seconds> LF <the note's text>
//   line:    U+2014 SP <witness name> SP base64(key id || big-endian u64 seconds || signature)
//   key id:  SHA-256(name || LF || 0x04 || 32-byte key)[:4]
//   vkey:    <name> "+" <8 hex digits key id> "+" base64(0x04 || key)
#pragma once

#include "attest/checkpoint.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tally {

struct WitnessKey {
    std::string name;
    uint32_t id = 0;
    VerifyingKey key;
};

// An error for a key that is not Ed25519, or a name that no note can carry.
Result<WitnessKey> witness_key(std::string name, const VerifyingKey &key);
Result<WitnessKey> parse_witness_vkey(std::string_view vkey);
std::string to_vkey(const WitnessKey &key);

// The witness's signature line, with its newline, for a note whose text this is.
Result<std::string> cosign(std::string_view note_text, const NoteSigner &witness, uint64_t seconds);

// Whether `line` (without newline) is a cosignature of this key: the seconds it names. Nothing if
// it is another key's line; an error if it is this key's and not good.
Result<std::optional<uint64_t>> check_cosignature(std::string_view note_text, std::string_view line,
                                                  const WitnessKey &key);

// How many of the witnesses have cosigned the note. A bad cosignature counts as none.
size_t count_cosignatures(std::string_view note, const std::vector<WitnessKey> &witnesses);

} // namespace tally
