#include "audit/report.h"

#include "attest/parties.h"
#include "audit/idle.h"
#include "base/text.h"
#include "findings/names.h"

#include <algorithm>
#include <cstdio>

namespace tally {

namespace {

std::string or_dash(const std::string &name) {
    return name.empty() ? "-" : printable(name);
}

// A column that tells rows apart: its names for people and programs, and its cell.
struct Column {
    By by;
    const char *title;
    const char *name;
    std::string UsageKey::*member;
};
constexpr Column kColumns[] = {{By::kDay, "DAY", "day", &UsageKey::day},
                               {By::kHost, "HOST", "host", &UsageKey::host},
                               {By::kTenant, "TENANT", "tenant", &UsageKey::tenant},
                               {By::kParent, "PARENT", "parent", &UsageKey::parent},
                               {By::kPayer, "PAYER", "payer", &UsageKey::payer},
                               {By::kDevice, "DEVICE", "device", &UsageKey::device},
                               {By::kModel, "MODEL", "model", &UsageKey::model},
                               {By::kWorkload, "WORKLOAD", "cgroup", &UsageKey::cgroup}};

// What a row that is no tenant's is called, in the first of the three columns that the report has;
// empty elsewhere.
std::string no_tenant(const UsageSums &usage, const UsageKey &key, By column) {
    if (key.of == UsageKey::Of::kTenant)
        return {};
    for (By first : {By::kTenant, By::kParent, By::kPayer}) {
        if (usage.is_by(first))
            return column != first                    ? std::string()
                   : key.of == UsageKey::Of::kService ? printable(key.tenant)
                                                      : kUnattributed;
    }
    return {};
}

// Those that a table has, in its order.
std::vector<const Column *> columns_of(const UsageSums &usage) {
    std::vector<const Column *> columns;
    for (By by : {By::kDay, By::kTenant, By::kParent, By::kPayer, By::kHost, By::kDevice,
                  By::kModel, By::kWorkload}) {
        for (const Column &column : kColumns) {
            if (column.by == by && usage.is_by(by) && !(by == By::kWorkload && usage.is_default()))
                columns.push_back(&column);
        }
    }
    return columns;
}

std::vector<std::string> key_cells(const UsageSums &usage, const UsageKey &key) {
    std::vector<std::string> cells;
    for (const Column *column : columns_of(usage)) {
        std::string whose =
            usage.is_default() && !key.cgroup.empty() ? " " + printable(key.cgroup) : "";
        std::string name = no_tenant(usage, key, column->by);
        cells.push_back(name.empty() ? or_dash(key.*column->member) : name + whose);
    }
    return cells;
}

std::string key_csv(const UsageSums &usage, const UsageKey &key) {
    std::string csv;
    for (const Column &column : kColumns) {
        if (!usage.is_by(column.by))
            continue;
        std::string name =
            column.by == By::kTenant ? std::string() : no_tenant(usage, key, column.by);
        csv += csv_field(name.empty() ? key.*column.member : name) + ",";
    }
    return csv;
}

std::string header_csv(const UsageSums &usage) {
    std::string csv;
    for (const Column &column : kColumns)
        csv += usage.is_by(column.by) ? std::string(column.name) + "," : "";
    return csv;
}

std::string operations(const UsageSum &sum, const char *unknown) {
    if (sum.unbounded_ns > 0)
        return unknown;
    char text[32];
    std::snprintf(text, sizeof(text), "%.3g", sum.operations);
    return text;
}

std::string counts(const WorkSum &work) {
    std::string text;
    for (const auto &[what, count] : work.counts)
        text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + printable(what);
    return text;
}

std::string usage_table(const Account &account) {
    constexpr auto kLeft = Table::Align::kLeft;
    constexpr auto kRight = Table::Align::kRight;
    const auto rows = account.usage.rows();
    bool bounded = std::any_of(rows.begin(), rows.end(), [](const auto &row) {
        return row.second.held_upper_ns > row.second.held_ns;
    });
    std::vector<const Column *> columns = columns_of(account.usage);
    std::vector<Table::Align> alignment(columns.size(), kLeft);
    alignment.insert(alignment.end(), bounded ? 5 : 4, kRight);
    Table table(alignment);
    std::vector<std::string> cells;
    cells.reserve(alignment.size());
    for (const Column *column : columns)
        cells.emplace_back(column->title);
    cells.emplace_back("HELD");
    if (bounded)
        cells.emplace_back("AT MOST");
    cells.insert(cells.end(), {"OPENS", "FOUND", "WINDOWS"});
    table.add(cells);
    for (const auto &[key, sum] : rows) {
        cells = key_cells(account.usage, key);
        cells.push_back(duration(sum.held_ns));
        if (bounded)
            cells.push_back(duration(sum.held_upper_ns));
        cells.insert(cells.end(), {std::to_string(sum.opens), std::to_string(sum.found),
                                   std::to_string(sum.windows)});
        table.add(cells);
    }
    return table.str();
}

std::string host_table(const Account &account) {
    constexpr auto kLeft = Table::Align::kLeft;
    Table table({kLeft, kLeft, kLeft, Table::Align::kRight});
    table.add({"HOST", "FROM", "TO", "COVERAGE"});
    for (const auto &[name, host] : account.coverage.hosts())
        table.add({name, utc_time(host.begin_wall_ns), utc_time(host.end_wall_ns),
                   percent(host.covered_ns, host.uncovered_ns)});
    return table.str();
}

} // namespace

std::string report_table(const Account &account) {
    std::string text = usage_table(account) + "\n";
    if (account.usage.device_times())
        text += idle_table(*account.usage.device_times()) + "\n";
    text += host_table(account) + "\n";
    for (const auto &[number, sum] : account.usage.rungs()) {
        auto rung = static_cast<pb::Rung>(number);
        text += "recorded on rung " + rung_name(rung) + ": " + rung_precision(rung) +
                "; longest gap between scans " + decimal_seconds(sum.longest_scan_gap_ns) + " s (" +
                count_of(sum.statements, "attestation") + ")\n";
    }
    text += "verified: " + account.log.in_words() + "; " + findings_in_words(account.findings) +
            (account.findings.empty() ? "\n" : ": see `tally findings`\n");
    for (const std::string &note : account.log.notes)
        text += "note: " + note + "\n";
    return text;
}

std::string report_csv(const Account &account) {
    std::string csv = header_csv(account.usage) +
                      "held_seconds,held_upper_seconds,opens,found,releases,windows\n";
    for (const auto &[key, sum] : account.usage.rows()) {
        csv += key_csv(account.usage, key);
        csv += decimal_seconds(sum.held_ns) + "," + decimal_seconds(sum.held_upper_ns) + "," +
               std::to_string(sum.opens) + "," + std::to_string(sum.found) + "," +
               std::to_string(sum.releases) + "," + std::to_string(sum.windows) + "\n";
    }
    return csv;
}

std::string work_table(const Account &account) {
    constexpr auto kLeft = Table::Align::kLeft;
    constexpr auto kRight = Table::Align::kRight;
    std::vector<const Column *> columns = columns_of(account.usage);
    std::vector<Table::Align> alignment(columns.size(), kLeft);
    alignment.insert(alignment.end(), {kRight, kRight, kLeft, kLeft, kRight, kRight, kLeft});
    Table table(alignment);
    std::vector<std::string> cells;
    cells.reserve(alignment.size());
    for (const Column *column : columns)
        cells.emplace_back(column->title);
    cells.insert(cells.end(),
                 {"HELD", "OPERATIONS AT MOST", "SOURCE", "GRADE", "BUSY", "ACTIVE IN", "COUNTED"});
    table.add(cells);
    for (const auto &[key, sum] : account.usage.rows_with_work()) {
        std::vector<std::string> begin = key_cells(account.usage, key);
        begin.insert(begin.end(), {duration(sum.held_ns), operations(sum, "not known")});
        if (sum.work.empty()) {
            cells = begin;
            cells.insert(cells.end(),
                         {"none", grade_name(pb::GRADE_HELD), "not known", "not known", ""});
            table.add(cells);
        }
        for (const auto &[source, work] : sum.work) {
            cells = begin;
            cells.insert(cells.end(), {printable(source), grade_name(work.grade),
                                       work.timed ? duration(work.busy_ns) : "not known",
                                       count_of(work.active_seconds, "second"), counts(work)});
            table.add(cells);
        }
    }
    return table.str() +
           "\nHeld time is not GPU time. Operations at most: held time x the device's peak dense "
           "rate (config/devices.toml).\nA source of grade able counts what was asked for, by "
           "means "
           "that may be evaded; what no source saw is not known.\n";
}

std::string work_csv(const Account &account) {
    std::string csv = header_csv(account.usage) +
                      "held_seconds,held_upper_seconds,compute_upper_operations,source,grade,"
                      "busy_seconds,active_seconds,counts\n";
    for (const auto &[key, sum] : account.usage.rows_with_work()) {
        std::string begin = key_csv(account.usage, key) + decimal_seconds(sum.held_ns) + "," +
                            decimal_seconds(sum.held_upper_ns) + "," + operations(sum, "") + ",";
        if (sum.work.empty())
            csv += begin + "," + grade_name(pb::GRADE_HELD) + ",,,\n";
        for (const auto &[source, work] : sum.work)
            csv += begin + csv_field(source) + "," + grade_name(work.grade) + "," +
                   (work.timed ? decimal_seconds(work.busy_ns) : "") + "," +
                   std::to_string(work.active_seconds) + "," + csv_field(counts(work)) + "\n";
    }
    return csv;
}

std::string report_focus(const Account &account) {
    std::string csv =
        "BillingAccountId,SubAccountId,ChargeCategory,ChargePeriodStart,ChargePeriodEnd,"
        "ServiceCategory,ServiceName,ResourceId,ResourceType,ConsumedQuantity,ConsumedUnit,"
        "x_Host,x_Workload,x_HeldUpperHours,x_Opens,x_LogOrigin\n";
    for (const auto &[key, sum] : account.usage.rows()) {
        if (key.of == UsageKey::Of::kService)
            continue; // never billed
        csv += csv_field(key.payer) + "," + csv_field(key.tenant) + ",Usage," +
               utc_time(sum.begin_wall_ns) + "," + utc_time(sum.end_wall_ns) +
               ",Compute,Accelerator held," + csv_field(key.device) + "," + csv_field(key.model) +
               "," + decimal_hours(sum.held_ns) + ",Hours," + csv_field(key.host) + "," +
               csv_field(key.cgroup) + "," + decimal_hours(sum.held_upper_ns) + "," +
               std::to_string(sum.opens) + "," + csv_field(account.log.checkpoint.origin) + "\n";
    }
    return csv;
}

} // namespace tally
