// not-conserved: for a device and window, tenants + unattributed + idle is not all the time there
// was. The host measures how long anybody held the device, apart from who (balance.h); the holders'
// rows say less than that together, or one of them says more.
//
// Proves: the host's two records of one device contradict each other by more than both can be off:
// a holder was left out or shortened, a hold was made up, or one of the two was changed in the
// kernel.
// Does not prove: which of the two is wrong. Who leaves a holder out of both is not found so; hosts
// whose agents do not measure it yet are not judged, nor windows with a part that is not in the
// log. What a statement says that cannot be by itself is overclaim's.
#include "attest/balance.h"
#include "findings/rule.h"

namespace tally {

namespace {

class NotConservedRule : public Rule {
public:
    void see(const Entry &entry, std::span<const Gap>, Found &found) override {
        const pb::Statement &statement = entry.statement();
        Window &window = windows_[statement.host()];
        if (statement.part() == 0)
            window.possible = true;
        window.possible &= entry.opened.impossible.empty();
        if (!window.balance.add(statement) || !window.possible)
            return;
        for (const Imbalance &imbalance : window.balance.imbalances()) {
            if (entry.device(imbalance.device) == nullptr)
                continue;
            found.repeat(entry, "not-conserved", entry.device_id(imbalance.device),
                         entry.device_id(imbalance.device) + " was " + imbalance.what,
                         [](const std::string &text, const Found::Repeated &seen) {
                             return text + in_statements(seen);
                         });
        }
    }

private:
    struct Window {
        WindowBalance balance;
        bool possible = true;
    };
    std::map<std::string, Window> windows_; // by host
};

} // namespace

std::unique_ptr<Rule> not_conserved_rule() {
    return std::make_unique<NotConservedRule>();
}

} // namespace tally
