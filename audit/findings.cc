#include "audit/findings.h"

#include "audit/names.h"
#include "audit/text.h"

#include <algorithm>

namespace tally {

namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kShortestGap = kSecond;
constexpr uint64_t kClockTolerance = kSecond; // a clock that is slewed runs slow, not back

constexpr const char *kLoss = "loss";
constexpr const char *kUnattributed = "unattributed";
constexpr const char *kEvent = "event";

// Part of a daemon's life; nothing for an auditor to look at.
bool is_routine(const pb::Event &event) {
    switch (event.kind()) {
    case pb::Event::KIND_AGENT_START:
    case pb::Event::KIND_AGENT_STOP:
    case pb::Event::KIND_HANDED_OVER:
        return true;
    case pb::Event::KIND_AGENT_SIGNALLED: // how it is asked to stop, which it then says
        return event.detail().starts_with("SIGTERM from ") ||
               event.detail().starts_with("SIGINT from ");
    default:
        return false;
    }
}

} // namespace

void Findings::add(const Entry &entry, const std::vector<Gap> &gaps) {
    for (const Gap &gap : gaps) {
        if (gap.length_ns > kShortestGap)
            add(entry, "gap",
                duration(gap.length_ns) + " from " + utc_time(gap.begin_wall_ns) +
                    (gap.between_boots ? " not covered: between two boots"
                                       : " not covered: the agent was not recording"));
    }
    add_clock(entry);
    for (const pb::Loss &loss : entry.statement().recording().losses()) {
        if (loss.count() > 0)
            add_to(repeated(entry, kLoss, loss.place(), loss.place()).amount, loss.count());
    }
    add_unattributed(entry);
    for (const pb::Event &event : entry.statement().events()) {
        if (!is_routine(event))
            add_event(entry, event_name(event.kind()) + ": " + event.detail());
    }
}

std::vector<Finding> Findings::all() const {
    std::vector<Finding> all = found_;
    for (const auto &[key, repeated] : repeated_) {
        Finding &finding = all[repeated.position];
        if (finding.kind == kLoss)
            finding.text = std::to_string(repeated.amount) + " lost: " + finding.text;
        else if (finding.kind == kUnattributed)
            finding.text += " for " + duration(repeated.amount);
        size_t pid = repeated.by_others ? finding.text.find(repeated.pid) : std::string::npos;
        if (pid != std::string::npos)
            finding.text.insert(pid + repeated.pid.size(), " and others");
        if (finding.kind != kEvent || repeated.statements > 1)
            finding.text += ", in " + count_of(repeated.statements, "statement");
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const Finding &a, const Finding &b) { return a.index < b.index; });
    return all;
}

void Findings::add(const Entry &entry, const char *kind, std::string text) {
    const pb::Statement &statement = entry.statement();
    found_.push_back({entry.index, statement.host(), statement.sequence(), kind, std::move(text)});
}

void Findings::add_clock(const Entry &entry) {
    const pb::Statement &statement = entry.statement();
    const pb::Window &window = statement.window();
    if (statement.part() > 0) // the first part stands for the window
        return;
    auto [before, first] = end_wall_ns_.try_emplace(statement.host(), window.end_wall_ns());
    if (!first && window.begin_wall_ns() < before->second)
        add(entry, "clock",
            "wall clock went back " + duration(before->second - window.begin_wall_ns()) +
                " between two windows, to " + utc_time(window.begin_wall_ns()));
    before->second = window.end_wall_ns();

    uint64_t length = window.end_boottime_ns() - window.begin_boottime_ns();
    uint64_t back = 0;
    if (window.end_wall_ns() < window.begin_wall_ns()) {
        back = length;
        add_to(back, window.begin_wall_ns() - window.end_wall_ns());
    } else if (window.end_wall_ns() - window.begin_wall_ns() < length) {
        back = length - (window.end_wall_ns() - window.begin_wall_ns());
    }
    if (back > kClockTolerance)
        add(entry, "clock",
            "wall clock went back " + duration(back) + " within the window from " +
                utc_time(window.begin_wall_ns()));
}

void Findings::add_unattributed(const Entry &entry) {
    const pb::Statement &statement = entry.statement();
    for (const pb::Usage &usage : statement.usage()) {
        const pb::Workload &workload = statement.workloads(static_cast<int>(usage.workload()));
        if (!workload.tenant().empty() || (usage.held_ns() == 0 && usage.opens() == 0))
            continue;
        std::string subject =
            "no tenant for " + cgroup_name(workload) + ", which held " + entry.device_id(usage);
        add_to(repeated(entry, kUnattributed, subject, subject).amount, usage.held_ns());
    }
}

// What a program does time and again, each time as another process, is one finding.
void Findings::add_event(const Entry &entry, const std::string &text) {
    constexpr std::string_view kPid = "pid ";
    size_t begin = std::min(text.find(kPid), text.size());
    size_t end = std::min(text.find_first_not_of("0123456789", begin + kPid.size()), text.size());
    std::string pid = text.substr(begin, end - begin);
    Repeated &found = repeated(entry, kEvent, text.substr(0, begin) + text.substr(end), text);
    if (found.pid.empty())
        found.pid = pid;
    found.by_others |= found.pid != pid;
}

// `subject` tells what is the same finding, `text` says it.
Findings::Repeated &Findings::repeated(const Entry &entry, const char *kind,
                                       const std::string &subject, const std::string &text) {
    const pb::Statement &statement = entry.statement();
    Repeated &found = repeated_[{statement.host(), kind, subject}];
    if (found.statements == 0) {
        found.position = found_.size();
        add(entry, kind, printable(text, 1024));
    }
    if (found.last_sequence != statement.sequence())
        found.statements++;
    found.last_sequence = statement.sequence();
    return found;
}

} // namespace tally
