#include "base/bytes.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace tally {

namespace {
constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kBase64Digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

template <typename T> void put_be(Bytes &out, T value) {
    for (int shift = 8 * (sizeof(T) - 1); shift >= 0; shift -= 8)
        out.push_back(static_cast<uint8_t>(value >> shift));
}

template <typename T> T get_be(const uint8_t *at) {
    T value = 0;
    for (size_t i = 0; i < sizeof(T); i++)
        value = static_cast<T>(value << 8 | at[i]);
    return value;
}
} // namespace

bool equal(ByteView a, ByteView b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

std::string to_hex(ByteView bytes) {
    std::string hex;
    hex.reserve(bytes.size() * 2);
    for (uint8_t byte : bytes) {
        hex += kHexDigits[byte >> 4];
        hex += kHexDigits[byte & 15];
    }
    return hex;
}

Result<Bytes> from_hex(std::string_view hex) {
    if (hex.size() % 2 != 0)
        return Error{"hex: odd number of digits"};
    Bytes bytes;
    bytes.reserve(hex.size() / 2);
    for (size_t i = 0; i < hex.size(); i += 2) {
        size_t high = kHexDigits.find(hex[i]);
        size_t low = kHexDigits.find(hex[i + 1]);
        if (high == std::string_view::npos || low == std::string_view::npos)
            return Error{"hex: not a lower-case digit at offset " + std::to_string(i)};
        bytes.push_back(static_cast<uint8_t>(high << 4 | low));
    }
    return bytes;
}

std::string to_base64(ByteView bytes) {
    std::string base64;
    base64.reserve((bytes.size() + 2) / 3 * 4);
    for (size_t i = 0; i < bytes.size(); i += 3) {
        size_t taken = std::min<size_t>(3, bytes.size() - i);
        uint32_t group = 0;
        for (size_t k = 0; k < 3; k++)
            group = group << 8 | (k < taken ? bytes[i + k] : 0U);
        for (size_t k = 0; k < 4; k++)
            base64 += k <= taken ? kBase64Digits[group >> (18 - 6 * k) & 63] : '=';
    }
    return base64;
}

Result<Bytes> from_base64(std::string_view base64) {
    if (base64.size() % 4 != 0)
        return Error{"base64: length is not a multiple of four"};
    Bytes bytes;
    bytes.reserve(base64.size() / 4 * 3);
    for (size_t i = 0; i < base64.size(); i += 4) {
        std::string_view quad = base64.substr(i, 4);
        bool last = i + 4 == base64.size();
        size_t digits = last && quad[3] == '=' ? (quad[2] == '=' ? 2 : 3) : 4;
        uint32_t group = 0;
        for (size_t k = 0; k < digits; k++) {
            size_t digit = kBase64Digits.find(quad[k]);
            if (digit == std::string_view::npos)
                return Error{"base64: bad digit at offset " + std::to_string(i + k)};
            group |= static_cast<uint32_t>(digit) << (18 - 6 * k);
        }
        for (size_t k = 0; k + 1 < digits; k++)
            bytes.push_back(static_cast<uint8_t>(group >> (16 - 8 * k)));
        if (digits < 4 && (group & ((1U << (8 * (4 - digits))) - 1)) != 0)
            return Error{"base64: trailing bits are not zero"};
    }
    return bytes;
}

void put_be16(Bytes &out, uint16_t value) {
    put_be(out, value);
}
void put_be32(Bytes &out, uint32_t value) {
    put_be(out, value);
}
void put_be64(Bytes &out, uint64_t value) {
    put_be(out, value);
}
uint16_t get_be16(const uint8_t *at) {
    return get_be<uint16_t>(at);
}
uint32_t get_be32(const uint8_t *at) {
    return get_be<uint32_t>(at);
}
uint64_t get_be64(const uint8_t *at) {
    return get_be<uint64_t>(at);
}

Result<uint64_t> parse_decimal(std::string_view digits) {
    uint64_t value = 0;
    const char *end = digits.data() + digits.size();
    auto [stopped, failure] = std::from_chars(digits.data(), end, value);
    if (failure != std::errc{} || stopped != end || (digits.size() > 1 && digits[0] == '0'))
        return Error{"\"" + printable(digits, 32) + "\" is not a decimal number"};
    return value;
}

std::string_view take_until(std::string_view &rest, char separator) {
    size_t end = rest.find(separator);
    std::string_view taken = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    return taken;
}

std::string printable(std::string_view raw, size_t limit) {
    std::string out;
    for (char c : raw.substr(0, limit)) {
        auto byte = static_cast<uint8_t>(c);
        if (byte >= 0x20 && byte < 0x7f) {
            out += c;
        } else {
            out += "\\x";
            out += to_hex({&byte, 1});
        }
    }
    if (raw.size() > limit)
        out += "...";
    return out;
}

} // namespace tally
