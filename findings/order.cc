// order: an attestation lies in the log after later ones of its host.
//
// Proves: the log's operator appended a host's attestations out of order. An honest collector takes
// sequence n only when it holds n - 1; for a while this one answered for a log without it.
// Does not prove: what for. The gap that it fills is a finding of its own, and stays one. Figures
// count the attestation; apart from its order no rule judges it.
#include "findings/rule.h"

namespace tally {

namespace {

class OrderRule : public Rule {
public:
    void see_aside(const Entry &entry, Found &found) override {
        if (entry.place.kind != Place::Kind::kLate)
            return;
        found.repeat(entry, "order", "",
                     "sequence " + std::to_string(entry.statement().sequence()) +
                         " lies behind later ones",
                     [](const std::string &subject, const Found::Repeated &repeated) {
                         return subject + in_statements(repeated);
                     });
    }
};

} // namespace

std::unique_ptr<Rule> order_rule() {
    return std::make_unique<OrderRule>();
}

} // namespace tally
