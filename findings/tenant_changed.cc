// tenant: another tenant answers for a workload than did when its hold began, or another party
// pays.
//
// Proves: on the host, the rules in force or the platform's own files changed while the workload
// held a device, and from which moment on the figures count it to another; or that both differed
// when an agent took up what an earlier one recorded, and the moment lies somewhere between the
// two. Does not prove: that either is wrong. Instances are handed over and files are put right; but
// who could name another after the fact could also have named the first.
#include "findings/rule.h"

namespace tally {

namespace {

class TenantChangedRule : public Rule {
public:
    void see(const Entry &entry, std::span<const Gap>, Found &found) override {
        for (const pb::Event &event : entry.statement().events()) {
            if (event.kind() == pb::Event::KIND_TENANT_CHANGED)
                found.see_event(entry, "tenant", event);
        }
    }
};

} // namespace

std::unique_ptr<Rule> tenant_changed_rule() {
    return std::make_unique<TenantChangedRule>();
}

} // namespace tally
