#include "audit/idle.h"

#include "base/text.h"

namespace tally {

namespace {

struct Column {
    bool DeviceTimesBy::*by;
    const char *title;
    const char *name;
    std::string DeviceTimesKey::*member;
};
constexpr Column kColumns[] = {
    {&DeviceTimesBy::day, "DAY", "day", &DeviceTimesKey::day},
    {&DeviceTimesBy::host, "HOST", "host", &DeviceTimesKey::host},
    {&DeviceTimesBy::device, "DEVICE", "device", &DeviceTimesKey::device},
    {&DeviceTimesBy::model, "MODEL", "model", &DeviceTimesKey::model}};

std::string seconds(uint64_t ns) {
    return decimal_seconds(ns) + " s";
}

// `services` and `not_told` have a column if there is any.
std::vector<std::string> time_cells(const DeviceTimes &times, const DeviceTimes &total) {
    std::vector<std::string> cells = {seconds(times.covered_ns), seconds(times.tenants_ns)};
    if (total.services_ns > 0)
        cells.push_back(seconds(times.services_ns));
    cells.insert(cells.end(),
                 {seconds(times.unattributed_ns), seconds(times.overlap_ns),
                  (times.idle_is_upper_bound ? "at most " : "") + seconds(times.idle_ns)});
    if (total.not_told_ns > 0)
        cells.push_back(seconds(times.not_told_ns));
    return cells;
}

} // namespace

std::string idle_table(const DeviceTimesSums &sums) {
    constexpr auto kLeft = Table::Align::kLeft;
    constexpr auto kRight = Table::Align::kRight;
    const auto rows = sums.rows();
    DeviceTimes total;
    for (const auto &[key, times] : rows)
        total.add(times);
    bool not_told = total.not_told_ns > 0;

    std::vector<std::string> titles;
    for (const Column &column : kColumns) {
        if (sums.by().*column.by)
            titles.emplace_back(column.title);
    }
    bool has_keys = !titles.empty();
    if (!has_keys)
        titles.emplace_back("DEVICES");
    size_t keys = titles.size();
    titles.insert(titles.end(), {"COVERED", "TENANTS"});
    if (total.services_ns > 0)
        titles.emplace_back("SERVICES");
    titles.insert(titles.end(), {"UNATTRIBUTED", "OVERLAP", "IDLE"});
    if (not_told)
        titles.emplace_back("NOT TOLD");
    std::vector<Table::Align> alignment(keys, kLeft);
    alignment.insert(alignment.end(), titles.size() - keys, kRight);

    Table table(alignment);
    table.add(titles);
    auto add = [&](std::vector<std::string> cells, const DeviceTimes &times) {
        std::vector<std::string> more = time_cells(times, total);
        cells.resize(keys);
        cells.insert(cells.end(), more.begin(), more.end());
        table.add(cells);
    };
    for (const auto &[key, times] : rows) {
        std::vector<std::string> cells;
        for (const Column &column : kColumns) {
            if (sums.by().*column.by)
                cells.push_back((key.*column.member).empty() ? "-" : printable(key.*column.member));
        }
        if (has_keys)
            add(cells, times);
    }
    add({"all"}, total);
    return table.str() + "covered = tenants + " + (total.services_ns > 0 ? "services + " : "") +
           "unattributed - overlap (several at once) + idle" +
           (not_told ? " + not told (idle or overlap)" : "") + "\n";
}

std::string idle_csv(const DeviceTimesSums &sums) {
    std::string csv;
    for (const Column &column : kColumns)
        csv += sums.by().*column.by ? std::string(column.name) + "," : "";
    csv += "covered_seconds,tenant_seconds,service_seconds,unattributed_seconds,overlap_seconds,"
           "idle_seconds,not_told_seconds,idle_is_upper_bound\n";
    for (const auto &[key, times] : sums.rows()) {
        for (const Column &column : kColumns)
            csv += sums.by().*column.by ? csv_field(key.*column.member) + "," : "";
        csv += decimal_seconds(times.covered_ns) + "," + decimal_seconds(times.tenants_ns) + "," +
               decimal_seconds(times.services_ns) + "," + decimal_seconds(times.unattributed_ns) +
               "," + decimal_seconds(times.overlap_ns) + "," + decimal_seconds(times.idle_ns) +
               "," + decimal_seconds(times.not_told_ns) + "," +
               (times.idle_is_upper_bound ? "true" : "false") + "\n";
    }
    return csv;
}

} // namespace tally
