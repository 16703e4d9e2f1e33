#include "audit/coverage.h"

#include "audit/text.h"

namespace tally {

std::vector<Gap> Coverage::add(const Entry &entry) {
    const pb::Statement &statement = entry.statement();
    const pb::Window &window = statement.window();
    HostCoverage &host = hosts_[statement.host()];
    host.attestations++;
    host.last_sequence = statement.sequence();
    if (statement.part() > 0) // the first part stands for the window
        return {};

    std::vector<Gap> gaps;
    bool first = host.boots == 0;
    bool new_boot = statement.boot_id() != host.boot_id;
    if (first) {
        host.first_sequence = statement.sequence();
        host.begin_wall_ns = window.begin_wall_ns();
    }
    if (!first && new_boot && window.begin_wall_ns() > host.end_wall_ns)
        gaps.push_back({host.end_wall_ns, window.begin_wall_ns() - host.end_wall_ns, true});
    if (new_boot) {
        host.boots++;
        host.boot_id = statement.boot_id();
    }
    host.end_wall_ns = window.end_wall_ns();

    uint64_t length = window.end_boottime_ns() - window.begin_boottime_ns();
    uint64_t since = statement.recording().since_boottime_ns();
    uint64_t paused = since > window.begin_boottime_ns() ? since - window.begin_boottime_ns() : 0;
    if (paused > 0)
        gaps.push_back({window.begin_wall_ns(), paused, false});
    add_to(host.covered_ns, length - paused); // attest/rules.h: since is before the window's end
    for (const Gap &gap : gaps)
        add_to(host.uncovered_ns, gap.length_ns);
    return gaps;
}

} // namespace tally
