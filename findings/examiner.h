// All rules over a log: statements and explanations in, findings out, open and explained. The
// auditor runs it over the whole log, offline; the collector as the log grows.
#pragma once

#include "findings/explanations.h"
#include "findings/rule.h"

namespace tally {

class Examiner {
public:
    explicit Examiner(const Limits &limits = Limits());

    // Hosts' attestations in the log's order, placed by Chains.
    void add(const Entry &entry);
    // The log's explanations, in their places among them. Positions of those of its findings for
    // which it counts.
    std::vector<uint32_t> add(uint64_t index, const OpenedExplanation &said);
    // In the log's order; what only shows at the end, as if the log ended here.
    std::vector<Finding> findings() const;

    // What an earlier run over the log's beginning knew, before anything is added: a host's
    // coverage; what it found; and the last statements of each host, for the rules to go on from.
    void restore(const std::string &host, HostCoverage coverage);
    void restore(Finding finding);
    void restore(uint64_t index, const OpenedExplanation &said,
                 const std::vector<uint32_t> &counts) {
        explanations_.add(index, said, counts);
    }
    void remember(const Entry &entry);

    const Coverage &coverage() const { return coverage_; }

private:
    bool shows_at_end(const pb::FindingName &name) const;

    Coverage coverage_;
    Rules rules_;
    Found found_;
    Explanations explanations_;
};

} // namespace tally
