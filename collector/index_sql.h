// For the files that speak SQL, and nobody else: SOCI, and its exceptions turned into Errors.
#pragma once

#include "attest/crypto.h"
#include "base/bytes.h"
#include "base/result.h"

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>

// Debian's SOCI was configured with Boost, whose headers nothing here needs: they only add
// templates.
// clang-format off
#include <soci/soci-config.h>
#undef SOCI_HAVE_BOOST
#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>
// clang-format on

namespace tally {

// SOCI throws; nothing of ours does. Runs `work` and turns what it throws into an Error.
template <typename T, typename Work> Result<T> guarded(const std::string &path, Work work) {
    try {
        return work();
    } catch (const std::exception &error) {
        return Error{"index " + path + ": " + error.what() +
                     " (if it is damaged, delete it: it is rebuilt at the next start)"};
    }
}

// For values that this program wrote; anything else is damage.
inline Bytes bytes_of(const std::string &hex) {
    auto bytes = from_hex(hex);
    if (!bytes)
        throw std::runtime_error("holds a value that is not hexadecimal");
    return *std::move(bytes);
}

inline Digest digest_of(const std::string &hex) {
    Bytes bytes = bytes_of(hex);
    Digest digest{};
    if (bytes.size() != digest.size())
        throw std::runtime_error("holds a hash that is not 32 bytes");
    std::copy(bytes.begin(), bytes.end(), digest.begin());
    return digest;
}

inline long long to_sql(uint64_t value) {
    return static_cast<long long>(value);
}

} // namespace tally
