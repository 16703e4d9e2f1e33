#include "audit/holds.h"

#include "attest/parties.h"
#include "audit/compute.h"
#include "findings/names.h"

#include <algorithm>

namespace tally {

void Holds::add(const Entry &entry) {
    const pb::Window &window = entry.statement().window();
    if (!entry.counts() || window.end_wall_ns() <= window.begin_wall_ns())
        return;
    uint64_t length = window.end_wall_ns() - window.begin_wall_ns();
    // Of a tenant's workloads that hold one device, the one that held it longest.
    std::map<Holder, uint64_t> held;
    for (const pb::Usage &usage : entry.statement().usage()) {
        if (usage.held_ns() == 0 || !question_.covers(entry, usage))
            continue;
        const pb::Device *device = entry.device(usage);
        if (device == nullptr || tally::computes(*device))
            computing_.emplace(entry.statement().host(), entry.device_id(usage));
        const pb::Workload &workload = entry.workload(usage);
        uint64_t &ns = held[{entry.statement().host(), entry.device_id(usage), party_of(workload),
                             parties_above(workload)}];
        // The two clocks may differ a little over one window.
        bool whole = usage.held_ns() >= length_of(window);
        ns = std::max(ns, whole ? length : std::min(usage.held_ns(), length));
    }
    for (const auto &[holder, ns] : held) {
        std::vector<Span> &spans = spans_[holder];
        Span now{window.begin_wall_ns(), window.end_wall_ns(), ns};
        if (!spans.empty() && spans.back().end_ns == now.begin_ns && spans.back().is_whole() &&
            now.is_whole()) {
            spans.back().end_ns = now.end_ns;
            spans.back().held_ns += ns;
        } else {
            spans.push_back(now);
        }
    }
}

} // namespace tally
