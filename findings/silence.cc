// silence: a host that says nothing more while the others do.
//
// Proves: the log's last statement of this host ended so long before the newest of the others'.
// Does not prove: that the host was running. Time is the hosts' own wall clock; two hosts, where
// there are three, must be ahead, so that one with a clock in the future silences nobody. A log in
// which all hosts fell silent shows nothing here: hold its newest time against your own clock.
#include "base/text.h"
#include "findings/rule.h"

#include <algorithm>

namespace tally {

namespace {

class SilenceRule : public Rule {
public:
    explicit SilenceRule(uint64_t longest) : longest_(longest) {}

    void see(const Entry &entry, std::span<const Gap>, Found &) override {
        stopped_.erase(entry.statement().host());
        for (const pb::Event &event : entry.statement().events()) {
            if (event.kind() == pb::Event::KIND_AGENT_STOP)
                stopped_.insert(entry.statement().host());
        }
    }

    void end(const Coverage &coverage, Found &found) const override {
        std::vector<uint64_t> ends;
        for (const auto &[name, host] : coverage.hosts())
            ends.push_back(host.end_wall_ns);
        std::sort(ends.rbegin(), ends.rend());
        if (ends.size() < 2)
            return;
        uint64_t newest = ends[ends.size() > 2 ? 1 : 0];
        for (const auto &[name, host] : coverage.hosts()) {
            if (host.end_wall_ns >= newest || newest - host.end_wall_ns <= longest_)
                continue;
            found.add(
                Finding{host.last_index, name, host.last_sequence, "silence",
                        "nothing for " + duration(newest - host.end_wall_ns) + " from " +
                            utc_time(host.end_wall_ns) + " on" +
                            (stopped_.contains(name) ? "; its agent had said that it stops" : ""),
                        host.last_digest});
        }
    }

private:
    uint64_t longest_;
    std::set<std::string> stopped_; // hosts whose last statement says so
};

} // namespace

std::unique_ptr<Rule> silence_rule(const Limits &limits) {
    return std::make_unique<SilenceRule>(limits.silence_ns);
}

} // namespace tally
