#include "collector/days.h"

#include "collector/index_sql.h"

#include <chrono>
#include <cstdio>
#include <map>
#include <tuple>

namespace tally {

namespace {

constexpr uint64_t kDayNs = 86'400'000'000'000;

struct Held {
    uint64_t held_ns = 0;
    uint64_t windows = 0;
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
    long long day = 0, held = 0, windows = 0;
    std::string tenant, parent, host, device, model;
    soci::statement add =
        (sql.prepare << "INSERT INTO held_by_day (day, tenant, parent, host, device, model,"
                        " held_ns, windows) VALUES (:day, :tenant, :parent, :host, :device,"
                        " :model, :held, :windows)"
                        " ON CONFLICT (day, tenant, parent, host, device, model) DO UPDATE SET"
                        " held_ns = held_by_day.held_ns + excluded.held_ns,"
                        " windows = held_by_day.windows + excluded.windows",
         soci::use(day), soci::use(tenant), soci::use(parent), soci::use(host), soci::use(device),
         soci::use(model), soci::use(held), soci::use(windows));
    for (const auto &[key, sum] : sums) {
        day = to_sql(std::get<0>(key));
        std::tie(std::ignore, tenant, parent, host, device, model) = key;
        held = to_sql(sum.held_ns);
        windows = to_sql(sum.windows);
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

// RFC 4180: quoted if it needs to be.
std::string field(const std::string &value) {
    if (value.find_first_of(",\"\r\n") == std::string::npos)
        return value;
    std::string quoted = "\"";
    for (char c : value)
        quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    return quoted + "\"";
}

std::string number(long long value) {
    return std::to_string(static_cast<uint64_t>(value));
}

} // namespace

void add_to_days(soci::session &sql, std::span<const IndexRow> rows) {
    std::map<HeldKey, Held> held;
    std::map<CoveredKey, Covered> covered;
    for (const IndexRow &row : rows) {
        uint64_t day = row.end_wall_ns / kDayNs;
        Covered &coverage = covered[{day, row.host}];
        coverage.covered_ns += row.covered_ns;
        coverage.attested_ns += row.attested_ns;
        ++coverage.attestations;
        for (const IndexRow::Use &use : row.usage) {
            Held &sum = held[{day, use.tenant, use.parent, row.host, use.device, use.model}];
            sum.held_ns += use.held_ns;
            ++sum.windows;
        }
    }
    write_held(sql, held);
    write_covered(sql, covered);
}

std::string held_csv(soci::session &sql, const DayFilter &filter) {
    std::string csv = "day,tenant,parent,host,device,model,held_ns,windows\n";
    long long from = to_sql(filter.from), until = to_sql(filter.until);
    long long day = 0, held = 0, windows = 0;
    std::string tenant, parent, host, device, model;
    soci::statement each =
        (sql.prepare << "SELECT day, tenant, parent, host, device, model, held_ns, windows"
                        " FROM held_by_day WHERE day >= :from AND day <= :until"
                        " AND (:tenant = '' OR tenant = :same)"
                        " ORDER BY day, tenant, parent, host, device, model",
         soci::use(from), soci::use(until), soci::use(filter.tenant), soci::use(filter.tenant),
         soci::into(day), soci::into(tenant), soci::into(parent), soci::into(host),
         soci::into(device), soci::into(model), soci::into(held), soci::into(windows));
    each.execute();
    while (each.fetch())
        csv += day_text(static_cast<uint64_t>(day)) + "," + field(tenant) + "," + field(parent) +
               "," + field(host) + "," + field(device) + "," + field(model) + "," + number(held) +
               "," + number(windows) + "\n";
    return csv;
}

std::string coverage_csv(soci::session &sql, const DayFilter &filter) {
    std::string csv = "day,host,covered_ns,attested_ns,attestations\n";
    long long from = to_sql(filter.from), until = to_sql(filter.until);
    long long day = 0, covered = 0, attested = 0, attestations = 0;
    std::string host;
    soci::statement each =
        (sql.prepare << "SELECT day, host, covered_ns, attested_ns, attestations"
                        " FROM coverage_by_day WHERE day >= :from AND day <= :until"
                        " ORDER BY day, host",
         soci::use(from), soci::use(until), soci::into(day), soci::into(host), soci::into(covered),
         soci::into(attested), soci::into(attestations));
    each.execute();
    while (each.fetch())
        csv += day_text(static_cast<uint64_t>(day)) + "," + field(host) + "," + number(covered) +
               "," + number(attested) + "," + number(attestations) + "\n";
    return csv;
}

Result<uint64_t> parse_day(const std::string &text) {
    // Four, two and two digits: parse_decimal would refuse the leading zeros.
    auto part = [&](size_t at, size_t digits) {
        unsigned value = 0;
        for (char c : text.substr(at, digits))
            value = value * 10 + static_cast<unsigned>(c - '0');
        return value;
    };
    bool shaped = text.size() == 10;
    for (size_t i = 0; shaped && i < text.size(); ++i)
        shaped = i == 4 || i == 7 ? text[i] == '-' : text[i] >= '0' && text[i] <= '9';
    if (!shaped)
        return Error{"\"" + text + "\" is not a day such as 2026-11-25"};
    std::chrono::year_month_day date{std::chrono::year(static_cast<int>(part(0, 4))),
                                     std::chrono::month(part(5, 2)), std::chrono::day(part(8, 2))};
    auto days = std::chrono::sys_days(date).time_since_epoch().count();
    if (!date.ok() || days < 0)
        return Error{"\"" + text + "\" is not a day such as 2026-11-25"};
    return static_cast<uint64_t>(days);
}

std::string day_text(uint64_t day) {
    std::chrono::year_month_day date{
        std::chrono::sys_days(std::chrono::days(static_cast<int64_t>(day)))};
    char text[32];
    std::snprintf(text, sizeof(text), "%04d-%02u-%02u", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
    return text;
}

} // namespace tally
