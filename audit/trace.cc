#include "audit/trace.h"

#include "attest/parties.h"
#include "base/text.h"
#include "findings/names.h"

namespace tally {

Result<std::string> trace(const Source &source, const Trust &trust, const Question &question,
                          const WalkOptions &options) {
    constexpr auto kLeft = Table::Align::kLeft;
    constexpr auto kRight = Table::Align::kRight;
    Table table({kRight, kLeft, kRight, kLeft, kLeft, kLeft, kLeft, kRight, kRight});
    table.add({"INDEX", "HOST", "SEQUENCE", "WINDOW FROM", "DEVICE", "TENANT", "WORKLOAD", "HELD",
               "OPENS"});
    uint64_t held = 0;
    uint64_t attestations = 0;
    auto verified = walk(
        source, trust,
        [&](const Entry &entry) {
            const pb::Statement &statement = entry.statement();
            bool any = false;
            for (const pb::Usage &usage : statement.usage()) {
                if (!entry.counts() || !question.covers(entry, usage))
                    continue;
                any = true;
                add_to(held, usage.held_ns());
                const pb::Workload &workload = entry.workload(usage);
                std::string party = party_of(workload);
                table.add({std::to_string(entry.index), statement.host(),
                           std::to_string(statement.sequence()),
                           utc_time(statement.window().begin_wall_ns()),
                           printable(entry.device_id(usage)),
                           party.empty() ? kUnattributed : printable(party),
                           printable(cgroup_name(workload), 4096), duration(usage.held_ns()),
                           std::to_string(usage.opens())});
            }
            attestations += any ? 1 : 0;
        },
        options);
    if (!verified)
        return verified.error();
    return table.str() + "\nheld " + duration(held) + " in " +
           count_of(attestations, "attestation") +
           "; `tally show LOG INDEX` prints one\nverified: " + verified->in_words() + "\n";
}

} // namespace tally
