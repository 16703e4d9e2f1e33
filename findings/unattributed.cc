// unattributed: a device was in use by a workload that no tenant answers for.
//
// Proves: the host saw this cgroup hold or open the device, and its tenant files name nobody. Who
// was seen with the device first is named by executable and user id, where the host caught it. Does
// not prove: that a tenant hid: monitoring agents and administrators hold devices too. One finding
// for each host, cgroup and device.
#include "attest/parties.h"
#include "base/text.h"
#include "findings/names.h"
#include "findings/rule.h"

namespace tally {

namespace {

class UnattributedRule : public Rule {
public:
    void see(const Entry &entry, std::span<const Gap>, Found &found) override {
        for (const pb::Usage &usage : entry.statement().usage()) {
            const pb::Workload &workload = entry.workload(usage);
            if (!party_of(workload).empty() ||
                (usage.held_ns() == 0 && usage.opens() == 0 && usage.found() == 0))
                continue;
            std::string subject =
                "no tenant for " + cgroup_name(workload) + ", which held " + entry.device_id(usage);
            auto &repeated = found.repeat(
                entry, "unattributed", subject,
                [](const std::string &text, const Found::Repeated &seen) {
                    return text + " for " + duration(seen.amount) + ", in " +
                           count_of(seen.statements, "statement") +
                           (seen.opener.empty() ? "" : "; opened first by " + seen.opener);
                });
            add_to(repeated.amount, usage.held_ns());
            if (repeated.opener.empty() && workload.has_opener())
                repeated.opener = printable(opener_name(workload.opener()));
        }
    }
};

} // namespace

std::unique_ptr<Rule> unattributed_rule() {
    return std::make_unique<UnattributedRule>();
}

} // namespace tally
