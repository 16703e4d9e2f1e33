// Names that leave a host as something else: a token to join on and, for the auditor alone, a box.
//
//   name    KIND LF VALUE, such as "party\nacme". The kind keeps apart what only happens to be
//           spelt alike: a tenant and a parent of one name are one party; a namespace is not.
//   token   "sealed:" and the first 120 bits of HMAC-SHA-256(join key, name) in RFC 4648 base 32:
//           31 characters. Every host of a fleet has the join key, so equal names have equal
//           tokens.
//   box     HPKE (hpke.h) to the auditor's key, one context a window: info kBoxInfo, additional
//           data HOST NUL TOKEN, plaintext the name. Opened, it says which name this host means by
//           the token; that the token is that name's, only who has the join key can check.
//
// Whoever has the join key can test a guess of a name against a token, on any host's statements,
// and names are easily guessed: it is as secret as a list of all tenants.
#pragma once

#include "attest/crypto.h"

#include <string>
#include <string_view>

namespace tally {

inline constexpr const char *kBoxInfo = "tallystick names v1";
inline constexpr size_t kJoinKeySize = 32;

// A join key's file: its 64 hexadecimal digits and a line feed.
Result<Bytes> parse_join_key(const std::string &text);

// Kinds of names. An identity's values have the kind "name." and their key.
inline constexpr const char *kParty = "party"; // tenant, parent, payer
inline constexpr const char *kCgroup = "cgroup";
inline constexpr const char *kFile = "file";
inline constexpr const char *kRule = "rule";
inline constexpr const char *kCountry = "country";
inline constexpr const char *kAccount = "account";
inline constexpr const char *kContract = "contract";
inline constexpr const char *kExecutable = "executable";
inline constexpr const char *kDetail = "event"; // an event's words

Bytes name_of(const std::string &kind, std::string_view value);
// Without its kind; the whole of it if it has none.
std::string_view value_of(ByteView name);

std::string token_of(ByteView join_key, ByteView name);
bool is_token(std::string_view text);

// What a box is bound to beside its name.
Bytes box_context(const std::string &host, const std::string &token);

// In place of a file's digest: whoever has file and join key can compare; nobody else can guess.
Digest keyed_digest(ByteView join_key, ByteView digest);

} // namespace tally
