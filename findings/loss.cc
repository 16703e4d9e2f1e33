// loss: something that the kernel side counted as lost.
//
// Proves: so many opens, files or updates found no room, or could not be read, at this place. What
// a row of usage lacks for want of room is in its `untracked`: its held time is a lower bound, and
// `tally report` prints the upper one beside it.
// Does not prove: whose use was lost.
#include "base/text.h"
#include "findings/rule.h"

namespace tally {

namespace {

class LossRule : public Rule {
public:
    void see(const Entry &entry, std::span<const Gap>, Found &found) override {
        for (const pb::Loss &loss : entry.statement().recording().losses()) {
            if (loss.count() == 0)
                continue;
            auto &repeated =
                found.repeat(entry, "loss", loss.place(),
                             [](const std::string &subject, const Found::Repeated &seen) {
                                 return std::to_string(seen.amount) + " lost: " + subject +
                                        ", in " + count_of(seen.statements, "statement");
                             });
            add_to(repeated.amount, loss.count());
        }
    }
};

} // namespace

std::unique_ptr<Rule> loss_rule() {
    return std::make_unique<LossRule>();
}

} // namespace tally
