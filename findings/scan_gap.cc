// scan: nobody looked for a while, on a rung that only sees by looking.
//
// Proves: on rung scanned or traced, by the agent's own count, no scan of the descriptor tables was
// completed for longer than the limit. What was opened (scanned) or passed on (both) and closed
// again within that time is in no figure; a release is late by as much.
// Does not prove: that anything was missed, nor why: a host under heavy load scans late. The exact
// rungs do not depend on scans, and are not judged.
#include "attest/rungs.h"
#include "base/text.h"
#include "findings/rule.h"

#include <algorithm>

namespace tally {

namespace {

class ScanGapRule : public Rule {
public:
    explicit ScanGapRule(uint64_t longest) : longest_(longest) {}

    void see(const Entry &entry, std::span<const Gap>, Found &found) override {
        const pb::Recording &recording = entry.statement().recording();
        bool by_looking =
            recording.rung() == pb::RUNG_SCANNED || recording.rung() == pb::RUNG_TRACED;
        if (!by_looking || recording.longest_scan_gap_ns() <= longest_)
            return;
        auto &repeated = found.repeat(
            entry, "scan", "rung " + rung_name(recording.rung()) + ": nobody looked for up to",
            [](const std::string &subject, const Found::Repeated &seen) {
                return subject + " " + duration(seen.amount) + ", in " +
                       count_of(seen.statements, "statement");
            });
        repeated.amount = std::max(repeated.amount, recording.longest_scan_gap_ns());
    }

private:
    uint64_t longest_;
};

} // namespace

std::unique_ptr<Rule> scan_gap_rule(const Limits &limits) {
    return std::make_unique<ScanGapRule>(limits.scan_gap_ns);
}

} // namespace tally
