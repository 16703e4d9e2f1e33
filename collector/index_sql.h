// For the files that speak SQL, and nobody else: SOCI, and its exceptions turned into Errors.
#pragma once

#include "base/result.h"

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

inline long long to_sql(uint64_t value) {
    return static_cast<long long>(value);
}

} // namespace tally
