// The index by day, for the questions an auditor asks first: who held which device of which model
// on which host for how long, and how much of each host's time is accounted for at all. Kept as
// sums, so that a question costs as many rows as it has answers, however many attestations are
// behind them.
//
//   held_by_day      day, tenant, parent, host, device, model: held time, attestations
//   coverage_by_day  day, host: time covered and attested, attestations
//
// A window counts to the UTC day in which it begins, as in `tally report --by day`; what crosses
// midnight is not split.
#pragma once

#include "base/result.h"
#include "collector/hosts.h"

#include <cstdint>
#include <span>
#include <string>

namespace soci {
class session;
}

namespace tally {

inline constexpr const char *kDaysSchema[] = {
    "CREATE TABLE IF NOT EXISTS held_by_day (day BIGINT NOT NULL, tenant TEXT NOT NULL,"
    " parent TEXT NOT NULL, host TEXT NOT NULL, device TEXT NOT NULL, model TEXT NOT NULL,"
    " held_ns BIGINT NOT NULL, attestations BIGINT NOT NULL,"
    " PRIMARY KEY (day, tenant, parent, host, device, model))",
    "CREATE TABLE IF NOT EXISTS coverage_by_day (day BIGINT NOT NULL, host TEXT NOT NULL,"
    " covered_ns BIGINT NOT NULL, attested_ns BIGINT NOT NULL, attestations BIGINT NOT NULL,"
    " PRIMARY KEY (day, host))",
    "CREATE INDEX IF NOT EXISTS held_by_tenant ON held_by_day (tenant, day)",
    "CREATE INDEX IF NOT EXISTS held_by_parent ON held_by_day (parent, day)",
    "CREATE INDEX IF NOT EXISTS held_by_device ON held_by_day (device, day)",
};

// Adds the rows to the sums. Throws what SOCI throws; the caller has a transaction open.
void add_to_days(soci::session &sql, std::span<const IndexRow> rows);

struct DayFilter {
    uint64_t from = 0;       // days since 1970-01-01
    uint64_t to = INT64_MAX; // the first day that is not asked for
    std::string tenant;      // empty: all
};
// CSV with a header line, in a fixed order. Throw what SOCI throws.
std::string held_csv(soci::session &sql, const DayFilter &filter);
std::string coverage_csv(soci::session &sql, const DayFilter &filter);

// "2026-11-25" to days since 1970-01-01 and back.
Result<uint64_t> parse_day(const std::string &text);
std::string day_text(uint64_t day);

} // namespace tally
