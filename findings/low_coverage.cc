// coverage: a host whose statements account for too little of its time.
//
// Proves: over the host's whole record, more than the allowed share of its time is covered by no
// statement. It is what many pauses, each too short for a gap, add up to. The attestation that
// shows it is the last that showed uncovered time: explained, it stays so until there is more of
// that. Does not prove: that devices were in use in that time. A host that was watched for less
// than the limit is not judged: one reboot would be half of it.
#include "base/text.h"
#include "findings/rule.h"

namespace tally {

namespace {

class CoverageRule : public Rule {
public:
    explicit CoverageRule(const Limits &limits) : limits_(limits) {}

    void end(const Coverage &coverage, Found &found) const override {
        for (const auto &[name, host] : coverage.hosts()) {
            auto total = static_cast<unsigned __int128>(host.covered_ns) + host.uncovered_ns;
            if (total < limits_.judged_from_ns ||
                static_cast<unsigned __int128>(host.covered_ns) * 1000 >=
                    total * limits_.coverage_permille)
                continue;
            found.add(Finding{host.uncovered.index, name, host.uncovered.sequence, "coverage",
                              "only " + percent(host.covered_ns, host.uncovered_ns) +
                                  " of its time is covered; " + duration(host.uncovered_ns) +
                                  " are not",
                              host.uncovered.digest});
        }
    }

private:
    Limits limits_;
};

} // namespace

std::unique_ptr<Rule> coverage_rule(const Limits &limits) {
    return std::make_unique<CoverageRule>(limits);
}

} // namespace tally
