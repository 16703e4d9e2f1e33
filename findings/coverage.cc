#include "findings/coverage.h"

#include "base/text.h"

#include <algorithm>

namespace tally {

uint64_t paused_ns(const pb::Statement &statement) {
    uint64_t begin = statement.window().begin_boottime_ns();
    uint64_t since = statement.recording().since_boottime_ns();
    return since > begin ? std::min(since - begin, length_of(statement.window())) : 0;
}

uint64_t covered_ns(const Entry &entry) {
    uint64_t length = length_of(entry.statement().window());
    return length -
           std::max(paused_ns(entry.statement()), std::min(entry.place.told_twice_ns, length));
}

std::vector<Gap> Coverage::add(const Entry &entry) {
    const pb::Statement &statement = entry.statement();
    const pb::Window &window = statement.window();
    HostCoverage &host = hosts_[statement.host()];
    bool first = host.boots == 0;
    bool new_boot = statement.boot_id() != host.boot_id;
    host.attestations++;
    host.last_sequence = statement.sequence();
    host.last_index = entry.index;
    host.last_digest = entry.opened.digest;
    // One part, the first that the log holds, stands for the window.
    if (!first && !new_boot && window.begin_boottime_ns() == host.begin_boottime_ns)
        return {};

    std::vector<Gap> gaps;
    if (first) {
        host.first_sequence = statement.sequence();
        host.begin_wall_ns = window.begin_wall_ns();
    }
    if (!first && new_boot && window.begin_wall_ns() > host.end_wall_ns)
        gaps.push_back({host.end_wall_ns, window.begin_wall_ns() - host.end_wall_ns,
                        Gap::Cause::kBetweenBoots});
    if (entry.place.skipped_ns > 0)
        gaps.push_back({host.end_wall_ns, entry.place.skipped_ns, Gap::Cause::kNoWindow});
    if (new_boot) {
        host.boots++;
        host.boot_id = statement.boot_id();
    }
    host.begin_boottime_ns = window.begin_boottime_ns();
    host.end_wall_ns = window.end_wall_ns();

    uint64_t paused = paused_ns(statement);
    if (paused > 0)
        gaps.push_back({window.begin_wall_ns(), paused, Gap::Cause::kPaused});
    add_to(host.covered_ns, covered_ns(entry));
    for (const Gap &gap : gaps)
        add_to(host.uncovered_ns, gap.length_ns);
    if (!gaps.empty())
        host.uncovered = {entry.index, statement.sequence(), entry.opened.digest};
    return gaps;
}

} // namespace tally
