#include "findings/examiner.h"

#include <algorithm>

namespace tally {

Examiner::Examiner(const Limits &limits) {
    rules_.push_back(gap_rule(limits));
    rules_.push_back(fork_rule());
    rules_.push_back(replay_rule());
    rules_.push_back(order_rule());
    rules_.push_back(key_rule());
    rules_.push_back(overclaim_rule());
    rules_.push_back(not_conserved_rule());
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
    rules_.push_back(work_without_hold_rule());
    rules_.push_back(sources_disagree_rule());
    rules_.push_back(service_at_work_rule());
    rules_.push_back(unknown_device_rule(limits));
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

bool Examiner::shows_at_end(const pb::FindingName &name) const {
    Found found;
    for (const auto &rule : rules_)
        rule->end(coverage_, found);
    auto all = found.all();
    return std::any_of(all.begin(), all.end(),
                       [&](const Finding &finding) { return has_name(finding, name); });
}

std::vector<uint32_t> Examiner::add(uint64_t index, const OpenedExplanation &said) {
    std::vector<uint32_t> counts;
    if (auto earlier = explanations_.earlier(said)) {
        found_.add(
            Finding{index, said.who, 0, "replay",
                    "the explanation at log index " + std::to_string(*earlier) + " once more",
                    said.digest});
        return counts;
    }
    for (int i = 0; i < said.explanation.findings_size(); i++) {
        const pb::FindingName &name = said.explanation.findings(i);
        if (found_.close(name) || shows_at_end(name))
            counts.push_back(static_cast<uint32_t>(i));
        else
            found_.add(Finding{index, said.who, 0, "explanation",
                               "explains " + id_of(name) + " of " + name.host() + ", sequence " +
                                   std::to_string(name.sequence()) + ": no such finding",
                               said.digest});
    }
    explanations_.add(index, said, counts);
    return counts;
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
    std::vector<Finding> all = found.all();
    for (Finding &finding : all) {
        explanations_.apply(finding);
        if (finding.last && found.stands_for_more(finding))
            finding.last.reset(); // nobody has explained the others
    }
    return all;
}

} // namespace tally
