// clock: a host's wall clock was set, or strays.
//
// Proves: by the host's own statements its wall clock moved against CLOCK_BOOTTIME, which nobody
// can set, by more than the limit and a thousandth of the time that passed (twice what NTP may
// slew); or the agent itself saw it being set. Does not prove: which of the two times was right.
// Held times are of CLOCK_BOOTTIME and do not change; what changes is the day on which they are
// shown. Between two boots only a step back shows.
#include "base/text.h"
#include "findings/rule.h"

#include <unordered_map>

namespace tally {

namespace {

constexpr uint64_t kSlewLimit = 1000; // parts; adjtime(3) and NTP slew at most 1 in 2000

class ClockRule : public Rule {
public:
    explicit ClockRule(uint64_t tolerance) : tolerance_(tolerance) {}

    void see(const Entry &entry, std::span<const Gap>, Found &found) override {
        const pb::Statement &statement = entry.statement();
        const pb::Window &window = statement.window();
        for (const pb::Event &event : statement.events()) {
            if (event.kind() == pb::Event::KIND_CLOCK_SET)
                found.see_event(entry, "clock", event);
        }
        auto [at, first] = hosts_.try_emplace(statement.host());
        Host &host = at->second;
        if (host.boot_id != statement.boot_id()) {
            if (!first && window.begin_wall_ns() < host.end_wall_ns)
                found.add(entry, "clock",
                          moved(window.begin_wall_ns(), host.end_wall_ns) +
                              " between two boots, to " + utc_time(window.begin_wall_ns()));
            host = {statement.boot_id(), window.begin_boottime_ns(), window.begin_wall_ns(), 0};
        } else if (host.strays(window.begin_boottime_ns(), window.begin_wall_ns(), tolerance_)) {
            found.add(entry, "clock",
                      moved(window.begin_wall_ns(), host.expected(window.begin_boottime_ns())) +
                          " between two windows, to " + utc_time(window.begin_wall_ns()));
            host.rebase(window.begin_boottime_ns(), window.begin_wall_ns());
        }
        if (host.strays(window.end_boottime_ns(), window.end_wall_ns(), tolerance_)) {
            found.add(entry, "clock",
                      moved(window.end_wall_ns(), host.expected(window.end_boottime_ns())) +
                          " within the window from " + utc_time(window.begin_wall_ns()));
            host.rebase(window.end_boottime_ns(), window.end_wall_ns());
        }
        host.end_wall_ns = window.end_wall_ns();
    }

private:
    // A boot's wall clock as it was when it was first seen or last moved.
    struct Host {
        std::string boot_id;
        uint64_t boottime_ns = 0;
        uint64_t wall_ns = 0;
        uint64_t end_wall_ns = 0; // of the last window

        uint64_t elapsed(uint64_t boottime) const {
            return boottime > boottime_ns ? boottime - boottime_ns : 0;
        }
        uint64_t expected(uint64_t boottime) const {
            uint64_t wall = wall_ns;
            add_to(wall, elapsed(boottime));
            return wall;
        }
        bool strays(uint64_t boottime, uint64_t wall, uint64_t tolerance) const {
            uint64_t should = expected(boottime);
            uint64_t apart = wall > should ? wall - should : should - wall;
            return apart > tolerance + elapsed(boottime) / kSlewLimit;
        }
        void rebase(uint64_t boottime, uint64_t wall) {
            boottime_ns = boottime;
            wall_ns = wall;
        }
    };

    static std::string moved(uint64_t wall, uint64_t expected) {
        return wall < expected ? "wall clock went back " + duration(expected - wall)
                               : "wall clock went forward " + duration(wall - expected);
    }

    uint64_t tolerance_;
    std::unordered_map<std::string, Host> hosts_;
};

} // namespace

std::unique_ptr<Rule> clock_rule(const Limits &limits) {
    return std::make_unique<ClockRule>(limits.clock_ns);
}

} // namespace tally
