#include "audit/concurrent.h"

#include "attest/parties.h"
#include "base/text.h"

#include <algorithm>

namespace tally {

namespace {

// A device's spans may overlap (two tenants of one parent): it counts once while any lasts.
using Edges = std::vector<std::pair<uint64_t, int>>; // time, +1 or -1

void add_union(std::vector<Span> spans, Edges &edges) {
    std::sort(spans.begin(), spans.end(),
              [](const Span &a, const Span &b) { return a.begin_ns < b.begin_ns; });
    for (size_t i = 0; i < spans.size();) {
        uint64_t end = spans[i].end_ns;
        edges.emplace_back(spans[i].begin_ns, +1);
        for (i++; i < spans.size() && spans[i].begin_ns <= end; i++)
            end = std::max(end, spans[i].end_ns);
        edges.emplace_back(end, -1);
    }
}

Peak peak_of(Edges edges) {
    std::sort(edges.begin(), edges.end()); // at one moment, what ends goes first
    Peak peak;
    int64_t now = 0;
    for (size_t i = 0; i < edges.size(); i++) {
        now += edges[i].second;
        auto devices = static_cast<uint64_t>(std::max<int64_t>(now, 0));
        uint64_t lasts = i + 1 < edges.size() ? edges[i + 1].first - edges[i].first : 0;
        if (devices == 0 || lasts == 0 || devices < peak.devices)
            continue;
        if (devices > peak.devices)
            peak = {devices, 0, edges[i].first};
        add_to(peak.for_ns, lasts);
    }
    return peak;
}

struct Held {
    std::vector<Span> whole;
    std::vector<Span> any;
};

std::string at_once(const Peak &peak) {
    return peak.devices == 0 ? "-" : duration(peak.for_ns);
}

} // namespace

std::vector<Concurrent> concurrent(const Holds &holds, bool by_parent) {
    std::map<std::string, std::map<std::pair<std::string, std::string>, Held>> by_who;
    for (const auto &[holder, spans] : holds.spans()) {
        if (!holds.computes(holder))
            continue;
        std::vector<std::string> parties = {holder.tenant};
        if (by_parent && !holder.above.empty())
            parties = holder.above;
        for (const std::string &who : parties) {
            Held &held = by_who[who][{holder.host, holder.device}];
            for (const Span &span : spans) {
                held.any.push_back(span);
                if (span.is_whole())
                    held.whole.push_back(span);
            }
        }
    }
    std::vector<Concurrent> rows;
    for (auto &[who, devices] : by_who) {
        Edges whole;
        Edges any;
        for (auto &[device, held] : devices) {
            add_union(std::move(held.whole), whole);
            add_union(std::move(held.any), any);
        }
        rows.push_back({who, peak_of(std::move(whole)), peak_of(std::move(any))});
    }
    std::stable_sort(rows.begin(), rows.end(), [](const Concurrent &a, const Concurrent &b) {
        return std::pair(a.certain.devices, a.possible.devices) >
               std::pair(b.certain.devices, b.possible.devices);
    });
    return rows;
}

std::string concurrent_table(const std::vector<Concurrent> &rows, bool by_parent) {
    constexpr auto kLeft = Table::Align::kLeft;
    constexpr auto kRight = Table::Align::kRight;
    Table table({kLeft, kRight, kRight, kLeft, kRight, kRight});
    table.add({by_parent ? "PARENT" : "TENANT", "AT ONCE", "FOR", "FIRST FROM", "UP TO", "FOR"});
    for (const Concurrent &row : rows)
        table.add({row.who.empty() ? kUnattributed : printable(row.who),
                   std::to_string(row.certain.devices), at_once(row.certain),
                   row.certain.devices == 0 ? "-" : utc_time(row.certain.from_ns),
                   std::to_string(row.possible.devices), at_once(row.possible)});
    return table.str() + "\nat once: devices held for the whole of each window; up to: had all "
                         "holds of a window met\n";
}

std::string concurrent_csv(const std::vector<Concurrent> &rows, bool by_parent) {
    std::string csv = std::string(by_parent ? "parent" : "tenant") +
                      ",devices,seconds,from,devices_upper,seconds_upper\n";
    for (const Concurrent &row : rows)
        csv += csv_field(row.who) + "," + std::to_string(row.certain.devices) + "," +
               decimal_seconds(row.certain.for_ns) + "," +
               (row.certain.devices == 0 ? "" : utc_time(row.certain.from_ns)) + "," +
               std::to_string(row.possible.devices) + "," + decimal_seconds(row.possible.for_ns) +
               "\n";
    return csv;
}

} // namespace tally
