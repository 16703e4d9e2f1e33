#include "audit/usage.h"

#include "base/text.h"
#include "findings/names.h"

#include <algorithm>

namespace tally {

void UsageSums::add(const Entry &entry) {
    if (!entry.counts())
        return; // said before
    const pb::Statement &statement = entry.statement();
    uint64_t window = statement.sequence() - statement.part();
    for (const pb::Usage &usage : statement.usage()) {
        const pb::Workload &workload = entry.workload(usage);
        bool attributed = !workload.tenant().empty();
        UsageSum &sum =
            sums_[{workload.tenant(), attributed ? workload.parent() : "", statement.host(),
                   entry.device_id(usage), attributed ? "" : cgroup_name(workload)}];
        add_to(sum.held_ns, usage.held_ns());
        add_to(sum.opens, usage.opens());
        add_to(sum.found, usage.found());
        add_to(sum.releases, usage.releases());
        if (sum.windows == 0 || sum.last_window != window)
            sum.windows++;
        sum.last_window = window;
    }
    RungSum &rung = rungs_[statement.recording().rung()];
    rung.statements++;
    rung.longest_scan_gap_ns =
        std::max(rung.longest_scan_gap_ns, statement.recording().longest_scan_gap_ns());
}

std::vector<std::pair<UsageKey, UsageSum>> UsageSums::rows() const {
    std::vector<std::pair<UsageKey, UsageSum>> rows;
    for (const auto &[key, sum] : sums_) {
        if (sum.held_ns > 0 || sum.opens > 0 || sum.found > 0)
            rows.emplace_back(key, sum);
    }
    std::stable_partition(rows.begin(), rows.end(),
                          [](const auto &row) { return !row.first.tenant.empty(); });
    return rows;
}

} // namespace tally
