#include "findings/examiner.h"

namespace tally {

Examiner::Examiner(const Limits &limits) {
    rules_.push_back(gap_rule(limits));
    rules_.push_back(fork_rule());
    rules_.push_back(replay_rule());
    rules_.push_back(order_rule());
    rules_.push_back(key_rule());
    rules_.push_back(overclaim_rule());
    rules_.push_back(silence_rule(limits));
    rules_.push_back(clock_rule(limits));
    rules_.push_back(unattributed_rule());
    rules_.push_back(tenant_changed_rule());
    rules_.push_back(tamper_rule());
    rules_.push_back(event_rule());
    rules_.push_back(loss_rule());
    rules_.push_back(coverage_rule(limits));
    rules_.push_back(scan_gap_rule(limits));
    rules_.push_back(device_rebound_rule());
    rules_.push_back(device_vanished_rule());
    rules_.push_back(device_moved_rule());
}

void Examiner::add(const Entry &entry) {
    if (entry.place.kind != Place::Kind::kNext) {
        for (const auto &rule : rules_)
            rule->see_aside(entry, found_);
        return;
    }
    std::vector<Gap> gaps = coverage_.add(entry);
    for (const auto &rule : rules_)
        rule->see(entry, gaps, found_);
}

void Examiner::restore(const std::string &host, HostCoverage coverage) {
    coverage_.restore(host, std::move(coverage));
}

void Examiner::restore(Finding finding) {
    if (finding.kind != "silence" && finding.kind != "coverage") // judged anew at the end
        found_.restore(std::move(finding));
}

void Examiner::remember(const Entry &entry) {
    Found said_before;
    for (const auto &rule : rules_)
        rule->see(entry, {}, said_before);
}

std::vector<Finding> Examiner::findings() const {
    Found found = found_;
    found.ending();
    for (const auto &rule : rules_)
        rule->end(coverage_, found);
    return found.all();
}

} // namespace tally
