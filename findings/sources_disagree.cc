// sources_disagree: two sources that both time a workload's work on one device differ by more than
// a fifth of the greater figure, and by more than two seconds, in one window. Both figures are
// kept.
//
// Proves: at least one source does not see all of the work, or sees work that was not done.
// Does not prove: which one, or why: samples may miss short jobs, and an engine that one source
// counts may be unknown to the other.
#include "base/text.h"
#include "findings/names.h"
#include "findings/rule.h"

#include <algorithm>
#include <tuple>

namespace tally {

namespace {

constexpr uint64_t kToleratedNs = 2'000'000'000;

class SourcesDisagreeRule : public Rule {
public:
    void see(const Entry &entry, std::span<const Gap>, Found &found) override {
        const pb::Statement &statement = entry.statement();
        // (workload, device) -> source -> busy, over all its engines
        std::map<std::pair<uint32_t, uint32_t>, std::map<std::string, uint64_t>> timed;
        for (const pb::Work &work : statement.work()) {
            if (work.has_workload() && work.has_device() && work.has_busy_ns())
                add_to(timed[{work.workload(), work.device()}][work.source()], work.busy_ns());
        }
        for (const auto &[row, sources] : timed) {
            auto by_busy = [](const auto &a, const auto &b) { return a.second < b.second; };
            auto [least, most] = std::minmax_element(sources.begin(), sources.end(), by_busy);
            uint64_t apart = most->second - least->second;
            if (apart <= kToleratedNs || apart <= most->second / 5)
                continue;
            const pb::Workload &workload = statement.workloads(static_cast<int>(row.first));
            std::string subject = "work of " + cgroup_name(workload) + " on " +
                                  entry.device_id(row.second) + ": " + printable(most->first) +
                                  " says more than " + printable(least->first);
            auto &repeated = found.repeat(entry, "sources-disagree", subject,
                                          [](const std::string &text, const Found::Repeated &seen) {
                                              return text + ", by " + duration(seen.amount) +
                                                     in_statements(seen);
                                          });
            add_to(repeated.amount, apart);
        }
    }
};

} // namespace

std::unique_ptr<Rule> sources_disagree_rule() {
    return std::make_unique<SourcesDisagreeRule>();
}

} // namespace tally
