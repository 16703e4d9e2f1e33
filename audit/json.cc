// Written member by member: it is small and flat.
#include "audit/json.h"

#include "base/text.h"
#include "findings/names.h"

#include <map>

namespace tally {

namespace {

using Members = std::vector<std::pair<const char *, std::string>>;

// {"name": value, ...}, the values being JSON already.
std::string object(const Members &members) {
    std::string json;
    for (const auto &[name, value] : members)
        json += (json.empty() ? "" : ", ") + json_string(name) + ": " + value;
    return "{" + json + "}";
}

std::string array(const std::vector<std::string> &values) {
    std::string json;
    for (const std::string &value : values)
        json += (json.empty() ? "\n    " : ",\n    ") + value;
    return "[" + json + (values.empty() ? "]" : "\n  ]");
}

std::string number(uint64_t value) {
    return std::to_string(value);
}

std::string hosts(const Account &account) {
    std::map<std::string, uint64_t> findings;
    std::map<std::string, uint64_t> open;
    for (const Finding &finding : account.findings) {
        findings[finding.host]++;
        open[finding.host] += finding.is_open() ? 1 : 0;
    }
    std::vector<std::string> rows;
    for (const auto &[name, host] : account.coverage.hosts())
        rows.push_back(object({{"host", json_string(name)},
                               {"attestations", number(host.attestations)},
                               {"first_sequence", number(host.first_sequence)},
                               {"last_sequence", number(host.last_sequence)},
                               {"boots", number(host.boots)},
                               {"from", json_string(utc_time(host.begin_wall_ns))},
                               {"to", json_string(utc_time(host.end_wall_ns))},
                               {"open_findings", number(open[name])},
                               {"covered_seconds", decimal_seconds(host.covered_ns)},
                               {"uncovered_seconds", decimal_seconds(host.uncovered_ns)},
                               {"findings", number(findings[name])}}));
    return array(rows);
}

std::string usage(const Account &account) {
    std::vector<std::string> rows;
    for (const auto &[key, sum] : account.usage.rows())
        rows.push_back(object({{"day", json_string(key.day)},
                               {"host", json_string(key.host)},
                               {"tenant", json_string(key.tenant)},
                               {"parent", json_string(key.parent)},
                               {"device", json_string(key.device)},
                               {"model", json_string(key.model)},
                               {"cgroup", json_string(key.cgroup)},
                               {"payer", json_string(key.payer)},
                               {"unattributed", key.of == UsageKey::Of::kNobody ? "true" : "false"},
                               {"service", key.of == UsageKey::Of::kService ? "true" : "false"},
                               {"held_seconds", decimal_seconds(sum.held_ns)},
                               {"held_upper_seconds", decimal_seconds(sum.held_upper_ns)},
                               {"opens", number(sum.opens)},
                               {"found", number(sum.found)},
                               {"releases", number(sum.releases)},
                               {"windows", number(sum.windows)}}));
    return array(rows);
}

std::string devices(const Account &account) {
    std::vector<std::string> rows;
    if (!account.usage.device_times())
        return array(rows);
    for (const auto &[key, times] : account.usage.device_times()->rows())
        rows.push_back(
            object({{"day", json_string(key.day)},
                    {"host", json_string(key.host)},
                    {"device", json_string(key.device)},
                    {"model", json_string(key.model)},
                    {"covered_seconds", decimal_seconds(times.covered_ns)},
                    {"tenant_seconds", decimal_seconds(times.tenants_ns)},
                    {"service_seconds", decimal_seconds(times.services_ns)},
                    {"unattributed_seconds", decimal_seconds(times.unattributed_ns)},
                    {"overlap_seconds", decimal_seconds(times.overlap_ns)},
                    {"idle_seconds", decimal_seconds(times.idle_ns)},
                    {"not_told_seconds", decimal_seconds(times.not_told_ns)},
                    {"idle_is_upper_bound", times.idle_is_upper_bound ? "true" : "false"}}));
    return array(rows);
}

std::string recording(const Account &account) {
    std::vector<std::string> rows;
    for (const auto &[value, sum] : account.usage.rungs()) {
        auto rung = static_cast<pb::Rung>(value);
        rows.push_back(
            object({{"rung", json_string(rung_name(rung))},
                    {"precision", json_string(rung_precision(rung))},
                    {"attestations", number(sum.statements)},
                    {"longest_scan_gap_seconds", decimal_seconds(sum.longest_scan_gap_ns)}}));
    }
    return array(rows);
}

// The one that counts; null where there is none.
std::string explanation(const Finding &finding) {
    if (!finding.last)
        return "null";
    return object({{"log_index", number(finding.explanations.back())},
                   {"who", json_string(finding.last->who)},
                   {"when", json_string(utc_time(finding.last->wall_ns))},
                   {"why", json_string(finding.last->why)},
                   {"reference", json_string(finding.last->reference)},
                   {"withdrawn", finding.last->withdrawn ? "true" : "false"}});
}

std::string listed(const std::vector<uint64_t> &numbers) {
    std::string list;
    for (uint64_t value : numbers)
        list += (list.empty() ? "" : ", ") + number(value);
    return list;
}

std::string findings(const Account &account) {
    std::vector<std::string> rows;
    for (const Finding &finding : account.findings)
        rows.push_back(object({{"kind", json_string(finding.kind)},
                               {"host", json_string(finding.host)},
                               {"sequence", number(finding.sequence)},
                               {"log_index", number(finding.index)},
                               {"text", json_string(finding.text)},
                               {"id", json_string(id_of(finding))},
                               {"state", json_string(finding.is_open() ? "open" : "explained")},
                               {"explanation", explanation(finding)},
                               {"explanations", "[" + listed(finding.explanations) + "]"}}));
    return array(rows);
}

std::string peak(const Peak &peak) {
    return object({{"devices", number(peak.devices)},
                   {"seconds", decimal_seconds(peak.for_ns)},
                   {"from", peak.devices == 0 ? "null" : json_string(utc_time(peak.from_ns))}});
}

// The whole text: the log, then each member on lines of its own.
std::string text_of(const Account &account, const Members &members) {
    const Checkpoint &checkpoint = account.log.checkpoint;
    std::string text =
        "{\n  \"log\": " + object({{"origin", json_string(checkpoint.origin)},
                                   {"size", number(checkpoint.size)},
                                   {"root", json_string(to_base64(checkpoint.root))}});
    for (const auto &[name, value] : members)
        text += ",\n  " + json_string(name) + ": " + value;
    return text + "\n}\n";
}

} // namespace

std::string report_json(const Account &account) {
    return text_of(account, {{"hosts", hosts(account)},
                             {"usage", usage(account)},
                             {"devices", devices(account)},
                             {"recording", recording(account)},
                             {"findings", findings(account)}});
}

std::string findings_json(const Account &account) {
    return text_of(account, {{"findings", findings(account)}});
}

std::string hosts_json(const Account &account) {
    return text_of(account, {{"hosts", hosts(account)}});
}

std::string concurrent_json(const Account &account, const std::vector<Concurrent> &rows,
                            bool by_parent) {
    std::vector<std::string> objects;
    objects.reserve(rows.size());
    for (const Concurrent &row : rows)
        objects.push_back(object({{by_parent ? "parent" : "tenant", json_string(row.who)},
                                  {"certain", peak(row.certain)},
                                  {"possible", peak(row.possible)}}));
    return text_of(account, {{"concurrent", array(objects)}});
}

} // namespace tally
