#include "collector/days.h"

#include "base/text.h"
#include "collector/index_sql.h"

#include <map>
#include <set>
#include <tuple>

namespace tally {

namespace {

constexpr uint64_t kDayNs = 86'400'000'000'000;

struct Held {
    uint64_t held_ns = 0;
    uint64_t attestations = 0;
};
struct Covered {
    uint64_t covered_ns = 0;
    uint64_t attested_ns = 0;
    uint64_t attestations = 0;
};
// day, tenant, parent, host, device, model
using HeldKey =
    std::tuple<uint64_t, std::string, std::string, std::string, std::string, std::string>;
using CoveredKey = std::pair<uint64_t, std::string>;

void write_held(soci::session &sql, const std::map<HeldKey, Held> &sums) {
    long long day = 0, held = 0, attestations = 0;
    std::string tenant, parent, host, device, model;
    soci::statement add =
        (sql.prepare << "INSERT INTO held_by_day (day, tenant, parent, host, device, model,"
                        " held_ns, attestations) VALUES (:day, :tenant, :parent, :host, :device,"
                        " :model, :held, :attestations)"
                        " ON CONFLICT (day, tenant, parent, host, device, model) DO UPDATE SET"
                        " held_ns = held_by_day.held_ns + excluded.held_ns,"
                        " attestations = held_by_day.attestations + excluded.attestations",
         soci::use(day), soci::use(tenant), soci::use(parent), soci::use(host), soci::use(device),
         soci::use(model), soci::use(held), soci::use(attestations));
    for (const auto &[key, sum] : sums) {
        day = to_sql(std::get<0>(key));
        std::tie(std::ignore, tenant, parent, host, device, model) = key;
        held = to_sql(sum.held_ns);
        attestations = to_sql(sum.attestations);
        add.execute(true);
    }
}

void write_covered(soci::session &sql, const std::map<CoveredKey, Covered> &sums) {
    long long day = 0, covered = 0, attested = 0, attestations = 0;
    std::string host;
    soci::statement add =
        (sql.prepare << "INSERT INTO coverage_by_day (day, host, covered_ns, attested_ns,"
                        " attestations) VALUES (:day, :host, :covered, :attested, :attestations)"
                        " ON CONFLICT (day, host) DO UPDATE SET"
                        " covered_ns = coverage_by_day.covered_ns + excluded.covered_ns,"
                        " attested_ns = coverage_by_day.attested_ns + excluded.attested_ns,"
                        " attestations = coverage_by_day.attestations + excluded.attestations",
         soci::use(day), soci::use(host), soci::use(covered), soci::use(attested),
         soci::use(attestations));
    for (const auto &[key, sum] : sums) {
        day = to_sql(key.first);
        host = key.second;
        covered = to_sql(sum.covered_ns);
        attested = to_sql(sum.attested_ns);
        attestations = to_sql(sum.attestations);
        add.execute(true);
    }
}

std::string number(long long value) {
    return std::to_string(static_cast<uint64_t>(value));
}

} // namespace

void add_to_days(soci::session &sql, std::span<const IndexRow> rows) {
    std::map<HeldKey, Held> held;
    std::map<CoveredKey, Covered> covered;
    for (const IndexRow &row : rows) {
        if (row.fork || row.explanation)
            continue;
        uint64_t day = row.begin_wall_ns / kDayNs;
        Covered &coverage = covered[{day, row.host}];
        coverage.covered_ns += row.covered_ns;
        coverage.attested_ns += row.attested_ns;
        ++coverage.attestations;
        std::set<HeldKey> counted; // a tenant's workloads are one row
        for (const IndexRow::Use &use : row.usage) {
            HeldKey key{day, use.tenant, use.parent, row.host, use.device, use.model};
            add_to(held[key].held_ns, use.held_ns);
            if (counted.insert(key).second)
                ++held[key].attestations;
        }
    }
    write_held(sql, held);
    write_covered(sql, covered);
}

std::string held_csv(soci::session &sql, const DayFilter &filter) {
    std::string csv = "day,tenant,parent,host,device,model,held_ns,attestations\n";
    long long from = to_sql(filter.from), to = to_sql(filter.to);
    long long day = 0, held = 0, attestations = 0;
    std::string tenant, parent, host, device, model;
    soci::statement each =
        (sql.prepare << "SELECT day, tenant, parent, host, device, model, held_ns, attestations"
                        " FROM held_by_day WHERE day >= :from AND day < :to"
                        " AND (:tenant = '' OR tenant = :same)"
                        " ORDER BY day, tenant, parent, host, device, model",
         soci::use(from), soci::use(to), soci::use(filter.tenant), soci::use(filter.tenant),
         soci::into(day), soci::into(tenant), soci::into(parent), soci::into(host),
         soci::into(device), soci::into(model), soci::into(held), soci::into(attestations));
    each.execute();
    while (each.fetch())
        csv += day_text(static_cast<uint64_t>(day)) + "," + csv_field(tenant) + "," +
               csv_field(parent) + "," + csv_field(host) + "," + csv_field(device) + "," +
               csv_field(model) + "," + number(held) + "," + number(attestations) + "\n";
    return csv;
}

std::string coverage_csv(soci::session &sql, const DayFilter &filter) {
    std::string csv = "day,host,covered_ns,attested_ns,attestations\n";
    long long from = to_sql(filter.from), to = to_sql(filter.to);
    long long day = 0, covered = 0, attested = 0, attestations = 0;
    std::string host;
    soci::statement each = (sql.prepare << "SELECT day, host, covered_ns, attested_ns, attestations"
                                           " FROM coverage_by_day WHERE day >= :from AND day < :to"
                                           " ORDER BY day, host",
                            soci::use(from), soci::use(to), soci::into(day), soci::into(host),
                            soci::into(covered), soci::into(attested), soci::into(attestations));
    each.execute();
    while (each.fetch())
        csv += day_text(static_cast<uint64_t>(day)) + "," + csv_field(host) + "," +
               number(covered) + "," + number(attested) + "," + number(attestations) + "\n";
    return csv;
}

Result<uint64_t> parse_day(const std::string &text) {
    auto time = parse_time(text);
    if (!time || *time % kDayNs != 0 || text != day_text(*time / kDayNs))
        return Error{"\"" + printable(text) + "\" is not a day such as 2026-11-25"};
    return *time / kDayNs;
}

std::string day_text(uint64_t day) {
    return utc_time(day * kDayNs).substr(0, std::string_view("2026-11-25").size());
}

} // namespace tally
