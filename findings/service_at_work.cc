// service_at_work: a workload that its host calls a service of its own, which is billed to nobody,
// did work on a device.
//
// Proves: a source saw its launches, submissions or busy time. Does not prove: that a tenant hides
// behind the host's tenant files: diagnostics run kernels, and a server may run them for tenants
// (NVIDIA's MPS). One finding for each host, service and device.
#include "base/text.h"
#include "findings/names.h"
#include "findings/rule.h"

namespace tally {

namespace {

bool shows_work(const pb::Work &work) {
    if (work.busy_ns() > 0)
        return true;
    // Copies and synchronisations alone are what a monitor's probe does, too.
    for (const pb::Count &count : work.counts()) {
        if (count.count() > 0 && (count.what() == "launches" || count.what() == "graph launches"))
            return true;
    }
    return false;
}

class ServiceAtWorkRule : public Rule {
public:
    void see(const Entry &entry, std::span<const Gap>, Found &found) override {
        const pb::Statement &statement = entry.statement();
        for (const pb::Work &work : statement.work()) {
            if (!work.has_workload() || !shows_work(work))
                continue;
            const pb::Workload &workload = statement.workloads(static_cast<int>(work.workload()));
            if (workload.service().empty())
                continue;
            std::string subject =
                "service " + printable(workload.service()) + " (" + cgroup_name(workload) +
                ") was at work" +
                (work.has_device() ? " on " + entry.device_id(work.device()) : "") + ", by " +
                printable(work.source());
            found.repeat(entry, "service-at-work", subject,
                         [](const std::string &text, const Found::Repeated &seen) {
                             return text + in_statements(seen);
                         });
        }
    }
};

} // namespace

std::unique_ptr<Rule> service_at_work_rule() {
    return std::make_unique<ServiceAtWorkRule>();
}

} // namespace tally
