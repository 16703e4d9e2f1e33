// work_without_hold: a source saw a workload at work on a device that the recording did not see it
// hold, in this window or the one before (a source may learn of work a little late).
//
// Proves: the two records of the host contradict each other: a hook missed an open, or a process
// works through files that another workload holds (a driver's server, such as NVIDIA's MPS).
// Does not prove: which of them is wrong. Work without a device, or of no workload, is not judged.
#include "base/text.h"
#include "findings/names.h"
#include "findings/rule.h"

#include <set>
#include <utility>

namespace tally {

namespace {

class WorkWithoutHoldRule : public Rule {
public:
    void see(const Entry &entry, std::span<const Gap>, Found &found) override {
        const pb::Statement &statement = entry.statement();
        Held &held = hosts_[statement.host()];
        if (statement.part() == 0) // rows of usage stand in no later part than those of work
            held.before = std::exchange(held.now, {});
        for (const pb::Usage &usage : statement.usage())
            held.now.emplace(entry.workload(usage).cgroup_id(), usage.device());
        for (const pb::Work &work : statement.work()) {
            if (!work.has_workload() || !work.has_device())
                continue;
            const pb::Workload &workload = statement.workloads(static_cast<int>(work.workload()));
            std::pair<uint64_t, uint32_t> row(workload.cgroup_id(), work.device());
            if (held.now.contains(row) || held.before.contains(row))
                continue;
            std::string subject = "work of " + cgroup_name(workload) + " on " +
                                  entry.device_id(work.device()) + ", which it did not hold, by " +
                                  printable(work.source());
            found.repeat(entry, "work-without-hold", subject,
                         [](const std::string &text, const Found::Repeated &seen) {
                             return text + in_statements(seen);
                         });
        }
    }

private:
    struct Held {
        std::set<std::pair<uint64_t, uint32_t>> now, before; // (cgroup id, device) by window
    };
    std::map<std::string, Held> hosts_;
};

} // namespace

std::unique_ptr<Rule> work_without_hold_rule() {
    return std::make_unique<WorkWithoutHoldRule>();
}

} // namespace tally
