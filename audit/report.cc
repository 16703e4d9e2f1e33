#include "audit/report.h"

#include "base/text.h"
#include "findings/names.h"

#include <algorithm>

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

const std::string kNobody = "unattributed";

// Whether it is this column that says so of a row that is nobody's: the first of the three that the
// report has.
bool says_nobody(const UsageSums &usage, const UsageKey &key, By column) {
    if (!key.unattributed)
        return false;
    for (By first : {By::kTenant, By::kParent, By::kPayer}) {
        if (usage.is_by(first))
            return column == first;
    }
    return false;
}

std::string usage_table(const Account &account) {
    constexpr auto kLeft = Table::Align::kLeft;
    constexpr auto kRight = Table::Align::kRight;
    const auto rows = account.usage.rows();
    bool bounded = std::any_of(rows.begin(), rows.end(), [](const auto &row) {
        return row.second.held_upper_ns > row.second.held_ns;
    });
    std::vector<const Column *> columns;
    for (By by : {By::kDay, By::kTenant, By::kParent, By::kPayer, By::kHost, By::kDevice,
                  By::kModel, By::kWorkload}) {
        for (const Column &column : kColumns) {
            if (column.by == by && account.usage.is_by(by) &&
                !(by == By::kWorkload && account.usage.is_default()))
                columns.push_back(&column);
        }
    }
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
        cells.clear();
        for (const Column *column : columns) {
            std::string whose = account.usage.is_default() && !key.cgroup.empty()
                                    ? " " + printable(key.cgroup)
                                    : "";
            cells.push_back(says_nobody(account.usage, key, column->by)
                                ? kNobody + whose
                                : or_dash(key.*column->member));
        }
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
    std::string text = usage_table(account) + "\n" + host_table(account) + "\n";
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
    std::string csv;
    for (const Column &column : kColumns)
        csv += account.usage.is_by(column.by) ? std::string(column.name) + "," : "";
    csv += "held_seconds,held_upper_seconds,opens,found,releases,windows\n";
    for (const auto &[key, sum] : account.usage.rows()) {
        for (const Column &column : kColumns) {
            if (!account.usage.is_by(column.by))
                continue;
            bool nobody = column.by != By::kTenant && says_nobody(account.usage, key, column.by);
            csv += (nobody ? kNobody : csv_field(key.*column.member)) + ",";
        }
        csv += decimal_seconds(sum.held_ns) + "," + decimal_seconds(sum.held_upper_ns) + "," +
               std::to_string(sum.opens) + "," + std::to_string(sum.found) + "," +
               std::to_string(sum.releases) + "," + std::to_string(sum.windows) + "\n";
    }
    return csv;
}

std::string report_focus(const Account &account) {
    std::string csv =
        "BillingAccountId,SubAccountId,ChargeCategory,ChargePeriodStart,ChargePeriodEnd,"
        "ServiceCategory,ServiceName,ResourceId,ResourceType,ConsumedQuantity,ConsumedUnit,"
        "x_Host,x_Workload,x_HeldUpperHours,x_Opens,x_LogOrigin\n";
    for (const auto &[key, sum] : account.usage.rows())
        csv += csv_field(key.payer) + "," + csv_field(key.tenant) + ",Usage," +
               utc_time(sum.begin_wall_ns) + "," + utc_time(sum.end_wall_ns) +
               ",Compute,Accelerator held," + csv_field(key.device) + "," + csv_field(key.model) +
               "," + decimal_hours(sum.held_ns) + ",Hours," + csv_field(key.host) + "," +
               csv_field(key.cgroup) + "," + decimal_hours(sum.held_upper_ns) + "," +
               std::to_string(sum.opens) + "," + csv_field(account.log.checkpoint.origin) + "\n";
    return csv;
}

} // namespace tally
