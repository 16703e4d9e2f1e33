// Bytes and their text forms. Decoders are strict: one text per value, so that no byte of an
// encoded signature or hash can change without the decoded value changing.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tally {

using Bytes = std::vector<uint8_t>;
using ByteView = std::span<const uint8_t>;

inline ByteView view(std::string_view text) {
    return {reinterpret_cast<const uint8_t *>(text.data()), text.size()};
}
inline std::string_view text(ByteView bytes) {
    return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}
inline Bytes to_bytes(ByteView bytes) {
    return {bytes.begin(), bytes.end()};
}
inline void append(Bytes &out, ByteView more) {
    out.insert(out.end(), more.begin(), more.end());
}
bool equal(ByteView a, ByteView b);

std::string to_hex(ByteView bytes); // lower case
Result<Bytes> from_hex(std::string_view hex);

// RFC 4648 section 4, padded; decoding refuses missing padding and non-zero trailing bits.
std::string to_base64(ByteView bytes);
Result<Bytes> from_base64(std::string_view base64);

// Big-endian integers, as every format here uses.
void put_be16(Bytes &out, uint16_t value);
void put_be32(Bytes &out, uint32_t value);
void put_be64(Bytes &out, uint64_t value);
uint16_t get_be16(const uint8_t *at);
uint32_t get_be32(const uint8_t *at);
uint64_t get_be64(const uint8_t *at);

// Decimal without sign, leading zero or trailing text.
Result<uint64_t> parse_decimal(std::string_view digits);

// The text up to the first `separator`, which is removed from `rest` along with it; all of `rest`
// if there is no separator.
std::string_view take_until(std::string_view &rest, char separator);

// Text for a terminal or a log line: control and non-ASCII bytes as \xNN, cut at `limit` bytes.
std::string printable(std::string_view raw, size_t limit = 256);

} // namespace tally
