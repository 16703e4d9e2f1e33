// replay: the very bytes of an attestation are in the log more than once.
//
// Proves: the log's operator appended an attestation again; an honest collector refuses it, from
// whomever it came. Figures count it once.
// Does not prove: who sent it again. One that lies further back than is remembered (findings/
// chains.cc) is not told from a fork, and is called one.
#include "findings/rule.h"

namespace tally {

namespace {

class ReplayRule : public Rule {
public:
    void see_aside(const Entry &entry, Found &found) override {
        if (entry.place.kind != Place::Kind::kReplay)
            return;
        found.repeat(entry, "replay", "",
                     "the attestation at log index " + std::to_string(entry.place.earlier_index) +
                         " once more",
                     [](const std::string &subject, const Found::Repeated &repeated) {
                         return subject + in_statements(repeated);
                     });
    }
};

} // namespace

std::unique_ptr<Rule> replay_rule() {
    return std::make_unique<ReplayRule>();
}

} // namespace tally
