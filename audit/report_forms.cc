// The forms a report is printed in: text, CSV, JSON.
#include "audit/json.h"
#include "audit/report.h"
#include "audit/table.h"
#include "audit/units.h"

namespace tally {

namespace {

constexpr auto kRight = Table::Align::kRight;
constexpr const char *kUnattributed = "(unattributed)";

std::string usage_table(const Report &report) {
    Table table({{"tenant"},
                 {"parent"},
                 {"host"},
                 {"device"},
                 {"held", kRight},
                 {"opens", kRight},
                 {"found", kRight},
                 {"windows", kRight},
                 {"host coverage", kRight},
                 {"cgroup"}});
    for (const UsageRow &row : report.usage)
        table.add({row.tenant.empty() ? kUnattributed : printable(row.tenant),
                   printable(row.parent), printable(row.host), printable(row.device),
                   duration_text(row.held_ns), std::to_string(row.opens),
                   row.found == 0 ? "" : std::to_string(row.found), std::to_string(row.windows),
                   report.hosts.at(row.host).time.coverage() + " %", row.cgroup});
    return table.text();
}

std::string device_table(const Report &report) {
    Table table({{"device"},
                 {"model"},
                 {"host"},
                 {"held by tenants", kRight},
                 {"held unattributed", kRight},
                 {"time recorded", kRight}});
    for (const DeviceRow &row : report.devices)
        table.add({printable(row.device), printable(row.model), printable(row.host),
                   duration_text(row.tenants_held_ns), duration_text(row.unattributed_held_ns),
                   duration_text(row.recorded_ns)});
    return table.text();
}

std::string precision_of(const HostRow &host) {
    std::string gap = " (longest gap " + duration_text(host.longest_scan_gap_ns) + ")";
    switch (*host.rungs.begin()) { // the least of them
    case pb::RUNG_SCANNED:
        return "opens and releases to one scan" + gap;
    case pb::RUNG_TRACED:
        return "opens exact, releases to one scan" + gap;
    default:
        return "opens and releases exact";
    }
}

std::string csv_cell(const std::string &raw) {
    std::string cell = printable(raw, 1024);
    if (cell.find_first_of("\",") == std::string::npos)
        return cell;
    std::string quoted = "\"";
    for (char c : cell)
        quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    return quoted + "\"";
}

void add_hosts(JsonWriter &json, const Report &report) {
    json.array("hosts");
    for (const auto &[name, host] : report.hosts)
        json.object()
            .string("host", name)
            .integer("first_sequence", host.time.first_sequence())
            .integer("last_sequence", host.time.last_sequence())
            .string("begin", utc_text(host.time.begin_wall_ns()))
            .string("end", utc_text(host.time.end_wall_ns()))
            .integer("windows", host.time.windows())
            .integer("boots", host.time.boots())
            .literal("recorded_seconds", seconds_text(host.time.covered_ns()))
            .literal("coverage_percent", host.time.coverage())
            .string("rung", rung_names(host.rungs))
            .literal("longest_scan_gap_seconds", seconds_text(host.longest_scan_gap_ns))
            .close();
    json.close();
}

void add_usage(JsonWriter &json, const Report &report) {
    json.array("usage");
    for (const UsageRow &row : report.usage)
        json.object()
            .string("host", row.host)
            .string("device", row.device)
            .string("tenant", row.tenant)
            .string("parent", row.parent)
            .string("cgroup", row.cgroup)
            .literal("held_seconds", seconds_text(row.held_ns))
            .integer("opens", row.opens)
            .integer("found", row.found)
            .integer("windows", row.windows)
            .close();
    json.close();
}

void add_devices(JsonWriter &json, const Report &report) {
    json.array("devices");
    for (const DeviceRow &row : report.devices)
        json.object()
            .string("host", row.host)
            .string("device", row.device)
            .string("model", row.model)
            .literal("held_by_tenants_seconds", seconds_text(row.tenants_held_ns))
            .literal("held_unattributed_seconds", seconds_text(row.unattributed_held_ns))
            .literal("recorded_seconds", seconds_text(row.recorded_ns))
            .close();
    json.close();
}

void add_findings(JsonWriter &json, const Report &report) {
    json.array("findings");
    for (const Finding &finding : report.findings)
        json.object()
            .string("kind", finding.kind)
            .string("host", finding.host)
            .integer("first_sequence", finding.first_sequence)
            .integer("last_sequence", finding.last_sequence)
            .integer("first_log_index", finding.first_index)
            .integer("last_log_index", finding.last_index)
            .string("text", finding.text)
            .close();
    json.close();
}

} // namespace

std::string report_text(const Report &report) {
    std::string text = "log " + printable(report.log.checkpoint.origin) + ", " +
                       count_text(report.log.checkpoint.size, "attestation") + ", all verified\n\n";
    text += report.usage.empty() ? "no accelerator was held\n" : usage_table(report);
    if (!report.devices.empty())
        text += "\n" + device_table(report);
    text +=
        "\nHeld is the time in which a workload had the device open, not the time it computed.\n";
    for (const auto &[name, host] : report.hosts)
        text += printable(name, 253) + ": recorded on rung " + rung_names(host.rungs) + ": " +
                precision_of(host) + "; " + utc_text(host.time.begin_wall_ns()) + " to " +
                utc_text(host.time.end_wall_ns()) + "\n";
    return text;
}

std::string report_csv(const Report &report) {
    std::string csv = "host,device,tenant,parent,cgroup,held_seconds,opens,found,windows,"
                      "host_coverage_percent,rung,longest_scan_gap_seconds\n";
    for (const UsageRow &row : report.usage) {
        const HostRow &host = report.hosts.at(row.host);
        csv += csv_cell(row.host) + "," + csv_cell(row.device) + "," + csv_cell(row.tenant) + "," +
               csv_cell(row.parent) + "," + csv_cell(row.cgroup) + "," + seconds_text(row.held_ns) +
               "," + std::to_string(row.opens) + "," + std::to_string(row.found) + "," +
               std::to_string(row.windows) + "," + host.time.coverage() + "," +
               rung_names(host.rungs) + "," + seconds_text(host.longest_scan_gap_ns) + "\n";
    }
    return csv;
}

std::string report_json(const Report &report) {
    JsonWriter json;
    json.object().object("log");
    json.string("origin", report.log.checkpoint.origin)
        .integer("size", report.log.checkpoint.size)
        .string("root", to_base64(report.log.checkpoint.root))
        .close();
    add_hosts(json, report);
    add_usage(json, report);
    add_devices(json, report);
    add_findings(json, report);
    return json.close().text();
}

} // namespace tally
