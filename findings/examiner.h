// All rules over a log: statements in, findings out. The auditor runs it over the whole log,
// offline; the collector as the log grows.
#pragma once

#include "findings/rule.h"

namespace tally {

class Examiner {
public:
    explicit Examiner(const Limits &limits = Limits());

    // Hosts' attestations in the log's order, placed by Chains.
    void add(const Entry &entry);
    // In the log's order; what only shows at the end, as if the log ended here.
    std::vector<Finding> findings() const;

    // What an earlier run over the log's beginning knew, before anything is added: a host's
    // coverage; what it found; and the last statements of each host, for the rules to go on from.
    void restore(const std::string &host, HostCoverage coverage);
    void restore(Finding finding);
    void remember(const Entry &entry);

    const Coverage &coverage() const { return coverage_; }

private:
    Coverage coverage_;
    Rules rules_;
    Found found_;
};

} // namespace tally
