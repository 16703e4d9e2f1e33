// The JSON form of `tally report` (RFC 8259), written member by member: it is small and flat.
#include "audit/report.h"
#include "base/text.h"
#include "findings/names.h"

#include <vector>

namespace tally {

namespace {

// {"name": value, ...}, the values being JSON already.
std::string object(const std::vector<std::pair<const char *, std::string>> &members) {
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
    std::vector<std::string> rows;
    for (const auto &[name, host] : account.coverage.hosts())
        rows.push_back(object({{"host", json_string(name)},
                               {"first_sequence", number(host.first_sequence)},
                               {"last_sequence", number(host.last_sequence)},
                               {"boots", number(host.boots)},
                               {"from", json_string(utc_time(host.begin_wall_ns))},
                               {"to", json_string(utc_time(host.end_wall_ns))},
                               {"covered_seconds", decimal_seconds(host.covered_ns)},
                               {"uncovered_seconds", decimal_seconds(host.uncovered_ns)}}));
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
                               {"held_seconds", decimal_seconds(sum.held_ns)},
                               {"held_upper_seconds", decimal_seconds(sum.held_upper_ns)},
                               {"opens", number(sum.opens)},
                               {"found", number(sum.found)},
                               {"releases", number(sum.releases)},
                               {"windows", number(sum.windows)}}));
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

std::string findings(const Account &account) {
    std::vector<std::string> rows;
    for (const Finding &finding : account.findings)
        rows.push_back(object({{"kind", json_string(finding.kind)},
                               {"host", json_string(finding.host)},
                               {"sequence", number(finding.sequence)},
                               {"log_index", number(finding.index)},
                               {"text", json_string(finding.text)}}));
    return array(rows);
}

} // namespace

std::string report_json(const Account &account) {
    const Checkpoint &checkpoint = account.log.checkpoint;
    std::string log = object({{"origin", json_string(checkpoint.origin)},
                              {"size", number(checkpoint.size)},
                              {"root", json_string(to_base64(checkpoint.root))}});
    return "{\n  \"log\": " + log + ",\n  \"hosts\": " + hosts(account) +
           ",\n  \"usage\": " + usage(account) + ",\n  \"recording\": " + recording(account) +
           ",\n  \"findings\": " + findings(account) + "\n}\n";
}

} // namespace tally
