#include "attest/names.h"

#include "attest/crypto_sealing.h"

namespace tally {

namespace {

constexpr std::string_view kTokenPrefix = "sealed:";
constexpr size_t kTokenBytes = 15; // of the digest: a whole number of base 32's groups
constexpr size_t kTokenDigits = kTokenBytes * 8 / 5;
constexpr std::string_view kBase32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"; // RFC 4648, section 6

std::string to_base32(ByteView bytes) {
    std::string text;
    uint32_t bits = 0;
    unsigned count = 0;
    for (uint8_t byte : bytes) {
        bits = bits << 8 | byte;
        for (count += 8; count >= 5; count -= 5)
            text += kBase32[bits >> (count - 5) & 31];
    }
    return text;
}

} // namespace

Result<Bytes> parse_join_key(const std::string &text) {
    std::string_view rest = text;
    auto key = from_hex(take_until(rest, '\n'));
    if (!key || key->size() != kJoinKeySize || !rest.empty())
        return Error{"not a join key: " + std::to_string(2 * kJoinKeySize) +
                     " hexadecimal digits and a line feed (make one: openssl rand -hex " +
                     std::to_string(kJoinKeySize) + ")"};
    return key;
}

Bytes name_of(const std::string &kind, std::string_view value) {
    Bytes name = to_bytes(view(kind));
    name.push_back('\n');
    append(name, view(value));
    return name;
}

std::string_view value_of(ByteView name) {
    std::string_view whole = text(name);
    size_t end = whole.find('\n');
    return end == std::string_view::npos ? whole : whole.substr(end + 1);
}

std::string token_of(ByteView join_key, ByteView name) {
    Digest digest = hmac_sha256(join_key, name);
    return std::string(kTokenPrefix) + to_base32(ByteView(digest).first(kTokenBytes));
}

bool is_token(std::string_view text) {
    return text.size() == kTokenPrefix.size() + kTokenDigits && text.starts_with(kTokenPrefix) &&
           text.find_first_not_of(kBase32, kTokenPrefix.size()) == std::string_view::npos;
}

Bytes box_context(const std::string &host, const std::string &token) {
    Bytes context = to_bytes(view(host));
    context.push_back(0);
    append(context, view(token));
    return context;
}

Digest keyed_digest(ByteView join_key, ByteView digest) {
    return hmac_sha256(join_key, name_of("digest", text(digest)));
}

} // namespace tally
