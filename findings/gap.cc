// gap: time or sequences that the log holds no statement for.
//
// Proves: the host's statements as logged leave this time, or these numbers, unaccounted for. The
// chain links across a pause, so the host itself says so; across missing sequences nothing does.
// Does not prove: why (a crash, a powered-off host, a collector that withheld), nor that a device
// was in use. Pauses up to the limit lower the host's coverage alone.
#include "base/text.h"
#include "findings/rule.h"

namespace tally {

namespace {

const char *cause_of(Gap::Cause cause) {
    switch (cause) {
    case Gap::Cause::kBetweenBoots:
        return "between two boots";
    case Gap::Cause::kPaused:
        return "the agent was not recording";
    default:
        return "no window tells of it";
    }
}

class GapRule : public Rule {
public:
    explicit GapRule(uint64_t shortest) : shortest_(shortest) {}

    void see(const Entry &entry, std::span<const Gap> gaps, Found &found) override {
        const Place &place = entry.place;
        if (place.missing_first != 0) {
            add_missing(entry, gaps, found);
            return;
        }
        if (!place.does_not_follow.empty())
            found.add(entry, "gap", place.does_not_follow);
        for (const Gap &gap : gaps) {
            if (gap.length_ns > shortest_ || gap.cause == Gap::Cause::kNoWindow)
                found.add(entry, "gap", time_of(gap) + ": " + cause_of(gap.cause));
        }
        if (place.no_inventory)
            found.add(entry, "gap", "no inventory with the first statement of a boot");
    }

private:
    static std::string time_of(const Gap &gap) {
        return duration(gap.length_ns) + " from " + utc_time(gap.begin_wall_ns) + " not covered";
    }
    static void add_missing(const Entry &entry, std::span<const Gap> gaps, Found &found) {
        const Place &place = entry.place;
        std::string text = place.missing_first == place.missing_last
                               ? "sequence " + std::to_string(place.missing_first) + " is"
                               : "sequences " + std::to_string(place.missing_first) + " to " +
                                     std::to_string(place.missing_last) + " are";
        text += " not in the log";
        for (const Gap &gap : gaps)
            text += "; " + time_of(gap);
        found.add(entry, "gap", text);
    }

    uint64_t shortest_;
};

} // namespace

std::unique_ptr<Rule> gap_rule(const Limits &limits) {
    return std::make_unique<GapRule>(limits.gap_ns);
}

} // namespace tally
