#include "audit/findings.h"

#include "audit/units.h"

namespace tally {

namespace {

// Starting, stopping and wider windows under pressure lose nothing; all else is trouble.
bool is_trouble(pb::Event::Kind kind) {
    return kind != pb::Event::KIND_AGENT_START && kind != pb::Event::KIND_AGENT_STOP &&
           kind != pb::Event::KIND_SPOOL_FULL;
}

std::string event_name(pb::Event::Kind kind) {
    switch (kind) {
    case pb::Event::KIND_SPOOL_DAMAGED:
        return "spool damaged";
    case pb::Event::KIND_REFUSED:
        return "collector refused an attestation";
    case pb::Event::KIND_RECEIPT_INVALID:
        return "receipt did not verify";
    default:
        return "event of unknown kind " + std::to_string(static_cast<int>(kind));
    }
}

std::string describe(const std::string &kind, const std::string &subject, uint64_t amount,
                     uint64_t times) {
    if (kind == "gap")
        return duration_text(amount) + " not recorded: " + subject;
    if (kind == "clock")
        return "the wall clock stepped, by up to " + duration_text(amount) + ", " +
               count_text(times, "time");
    if (kind == "loss")
        return count_text(amount, "event") + " lost in recording at " + subject;
    if (kind == "unattributed")
        return "no tenant answers for " + subject + ", held for " + duration_text(amount);
    return subject + (times > 1 ? ", " + count_text(times, "time") : "");
}

std::string describe_place(const Finding &finding) {
    return std::string(finding.first_sequence == finding.last_sequence ? "sequence "
                                                                       : "sequences ") +
           range_text(finding.first_sequence, finding.last_sequence) + ", log index " +
           range_text(finding.first_index, finding.last_index) + ", " +
           utc_text(finding.begin_wall_ns);
}

} // namespace

std::string cgroup_name(const pb::Workload &workload) {
    if (workload.cgroup_path().empty())
        return "cgroup " + std::to_string(workload.cgroup_id()) + ", path unknown";
    return printable(workload.cgroup_path(), 1024);
}

void Findings::note(const Entry &entry, const std::string &kind, const std::string &subject,
                    uint64_t amount) {
    const pb::Statement &statement = entry.opened.statement;
    Sum &sum = sums_[{statement.host(), kind, subject}];
    Finding &finding = sum.finding;
    if (sum.times++ == 0) {
        finding.kind = kind;
        finding.host = statement.host();
        finding.first_sequence = statement.sequence();
        finding.first_index = entry.index;
        finding.begin_wall_ns = statement.window().begin_wall_ns();
    }
    finding.last_sequence = statement.sequence();
    finding.last_index = entry.index;
    // Steps of a clock do not add up to anything.
    sum.amount =
        kind == "clock" ? std::max(sum.amount, amount) : saturating_add(sum.amount, amount);
}

void Findings::add_time(const Entry &entry) {
    const pb::Statement &statement = entry.opened.statement;
    Timeline::Step step = hosts_[statement.host()].add(statement);
    if (step.missing_ns > kTolerance_ns)
        note(entry, "gap",
             step.new_boot
                 ? "before sequence " + std::to_string(statement.sequence()) +
                       ", the first of a boot"
                 : "recording set in late in sequence " + std::to_string(statement.sequence()),
             step.missing_ns);
    if (step.clock_step_ns > kTolerance_ns)
        note(entry, "clock", "", step.clock_step_ns);
}

void Findings::add_usage(const Entry &entry) {
    const pb::Statement &statement = entry.opened.statement;
    for (const pb::Usage &usage : statement.usage()) {
        const pb::Workload &workload = statement.workloads(static_cast<int>(usage.workload()));
        if (!workload.tenant().empty())
            continue;
        const pb::Device &device = entry.devices.at(usage.device());
        note(entry, "unattributed", cgroup_name(workload) + " on " + printable(device.id()),
             usage.held_ns());
    }
}

void Findings::add_recording(const Entry &entry) {
    const pb::Statement &statement = entry.opened.statement;
    for (const pb::Loss &loss : statement.recording().losses()) {
        if (loss.count() > 0)
            note(entry, "loss", printable(loss.place()), loss.count());
    }
    for (const pb::Event &event : statement.events()) {
        if (is_trouble(event.kind()))
            note(entry, "event", event_name(event.kind()) + ": " + printable(event.detail(), 512),
                 0);
    }
}

void Findings::add(const Entry &entry) {
    add_time(entry);
    add_usage(entry);
    add_recording(entry);
}

std::vector<Finding> Findings::list() const {
    std::vector<Finding> findings;
    for (const auto &[key, sum] : sums_) {
        const auto &[host, kind, subject] = key;
        Finding finding = sum.finding;
        finding.text = printable(host, 253) + ": " +
                       describe(kind, subject, sum.amount, sum.times) + " (" +
                       describe_place(finding) + ")";
        findings.push_back(std::move(finding));
    }
    return findings;
}

} // namespace tally
