#include "audit/report.h"

#include "base/text.h"
#include "findings/names.h"

namespace tally {

namespace {

std::string or_dash(const std::string &name) {
    return name.empty() ? "-" : printable(name);
}

std::string usage_table(const Account &account) {
    constexpr auto kLeft = Table::Align::kLeft;
    constexpr auto kRight = Table::Align::kRight;
    Table table({kLeft, kLeft, kLeft, kLeft, kRight, kRight, kRight, kRight});
    table.add({"TENANT", "PARENT", "HOST", "DEVICE", "HELD", "OPENS", "FOUND", "WINDOWS"});
    for (const auto &[key, sum] : account.usage.rows()) {
        std::string tenant =
            key.tenant.empty() ? "unattributed " + printable(key.cgroup) : printable(key.tenant);
        table.add({tenant, or_dash(key.parent), key.host, printable(key.device),
                   duration(sum.held_ns), std::to_string(sum.opens), std::to_string(sum.found),
                   std::to_string(sum.windows)});
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
    text += "verified: log " + account.log.checkpoint.origin + ", " +
            count_of(account.log.checkpoint.size, "attestation") + "; " +
            count_of(account.findings.size(), "finding") +
            (account.findings.empty() ? "\n" : ": see `tally verify`\n");
    for (const std::string &note : account.log.notes)
        text += "note: " + note + "\n";
    return text;
}

std::string report_csv(const Account &account) {
    std::string csv =
        "host,tenant,parent,device,cgroup,held_seconds,opens,found,releases,windows\n";
    for (const auto &[key, sum] : account.usage.rows()) {
        for (const std::string *name :
             {&key.host, &key.tenant, &key.parent, &key.device, &key.cgroup})
            csv += csv_field(*name) + ",";
        csv += decimal_seconds(sum.held_ns) + "," + std::to_string(sum.opens) + "," +
               std::to_string(sum.found) + "," + std::to_string(sum.releases) + "," +
               std::to_string(sum.windows) + "\n";
    }
    return csv;
}

} // namespace tally
