// fork: one host signed two histories.
//
// Proves: the host's signing key signed two different statements with one sequence, or a statement
// that follows another than the log holds. Both are in the log, and `tally show INDEX` prints each.
// Does not prove: which of the two is true, nor who did it: a restored disk image and a cloned host
// do the same as a host that rewrites its past. Figures count the one that was logged first.
#include "findings/rule.h"

namespace tally {

namespace {

class ForkRule : public Rule {
public:
    void see(const Entry &entry, std::span<const Gap>, Found &found) override {
        if (entry.place.other_previous)
            found.add(entry, "fork",
                      "follows another sequence " +
                          std::to_string(entry.statement().sequence() - 1) +
                          " than the log's, which is at log index " +
                          std::to_string(entry.place.previous_index));
    }
    // The other branch may go on for long: one finding.
    void see_aside(const Entry &entry, Found &found) override {
        if (entry.place.kind != Place::Kind::kFork)
            return;
        std::string text =
            "sequence " + std::to_string(entry.statement().sequence()) + " was signed twice: ";
        text += entry.place.earlier_known
                    ? "the other is at log index " + std::to_string(entry.place.earlier_index)
                    : "the other is far back in the log";
        found.repeat(entry, "fork", "", text,
                     [](const std::string &subject, const Found::Repeated &repeated) {
                         return subject + in_statements(repeated);
                     });
    }
};

} // namespace

std::unique_ptr<Rule> fork_rule() {
    return std::make_unique<ForkRule>();
}

} // namespace tally
