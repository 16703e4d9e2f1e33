#include "tests/system/storm/oracle.h"

#include <algorithm>

namespace tally::storm {

namespace {
constexpr uint64_t kExact = 1'000'000; // ns: the tolerance of an edge that is seen as it happens
} // namespace

ScanGaps::ScanGaps(std::vector<ScanWindow> windows) : windows_(std::move(windows)) {
}

// The scan that sees it ends in one of the windows that follow, which then attests a gap at least
// as long. Which window that is depends on the gap.
uint64_t ScanGaps::after(uint64_t at) const {
    uint64_t wait = 0;
    for (;;) {
        uint64_t longest = wait;
        for (const ScanWindow &window : windows_) {
            if (window.begin_ns <= at + wait && window.end_ns >= at)
                longest = std::max(longest, window.longest_gap_ns);
        }
        if (longest == wait)
            return wait;
        wait = longest;
    }
}

Oracle::Oracle(const History &history, const ScanGaps &gaps, const Rules &rules)
    : history_(history), gaps_(gaps), rules_(rules) {
    for (const Stay &stay : history_.stays) {
        if (stay.file != 0)
            by_file_[stay.file].push_back(&stay);
    }
    // A file that a call cut short may have brought could be any that is open on the device.
    for (const Stay &stay : history_.stays) {
        for (auto &[file, stays] : by_file_) {
            if (stay.file == 0 && stays.front()->device == stay.device)
                stays.push_back(&stay);
        }
    }
    for (const Flight &flight : history_.flights)
        flights_[flight.file].push_back(&flight);
    see_begins();
}

void Oracle::see_begins() {
    seen_.resize(history_.stays.size());
    for (size_t i = 0; i < history_.stays.size(); i++) {
        const Stay &stay = history_.stays[i];
        uint64_t begin = std::max(stay.begin.latest, rules_.since_ns);
        bool hooked =
            !scans() || (rules_.rung == pb::RUNG_TRACED && stay.origin == Origin::kOpened);
        bool at_once = hooked && stay.begin.earliest >= rules_.ready_ns;
        seen_[i] = at_once ? begin : begin + one_scan(begin);
        // A scan goes by process number, so it sees a file that a parent had when it forked either
        // with the parent or, later on its way, with the child.
        if (scans() && stay.parent >= 0)
            seen_[i] = std::min(seen_[i], std::max(begin, seen_[static_cast<size_t>(stay.parent)]));
    }
}

Bounds Oracle::held(uint16_t cgroup, uint8_t device) const {
    Bounds bounds;
    std::vector<const Stay *> stays;
    std::vector<Edge> lost; // to other workloads
    for (size_t i = 0; i < history_.stays.size(); i++) {
        const Stay &stay = history_.stays[i];
        if (stay.cgroup != cgroup || stay.device != device)
            continue;
        stays.push_back(&stay);
        if (stay.certain)
            bounds.least.add(seen_[i], stay.end.earliest);
        uint64_t late = scans() ? one_scan(stay.end.latest) : 0;
        bounds.most.add(stay.begin.earliest, stay.end.latest + late);
        if (!scans()) {
            note_lost(stay, lost);
            follow_flights(stay, bounds, lost);
        }
    }
    if (!rules_.widen)
        return bounds;
    settle_late(stays, lost, bounds);
    return {bounds.least.narrowed(kExact), bounds.most.widened(kExact)};
}

// After a workload's stay with a file, the time during which it is in sockets only.
void Oracle::follow_flights(const Stay &stay, Bounds &bounds, std::vector<Edge> &lost) const {
    auto flights = flights_.find(stay.file);
    if (flights == flights_.end() || stay.end.latest < rules_.since_ns)
        return; // what was in flight before recording began, nobody can know
    uint64_t surely_until = 0;
    uint64_t perhaps_until = 0;
    for (const Flight *flight : flights->second) {
        if (flight->begin.earliest <= stay.end.latest && flight->end.latest >= stay.end.earliest)
            perhaps_until = std::max(perhaps_until, flight->end.latest);
        if (flight->certain && flight->begin.latest <= stay.end.earliest)
            surely_until = std::max(surely_until, flight->end.earliest);
    }
    bool surely_last = stay.certain && stay.end.earliest >= rules_.ready_ns;
    for (const Stay *other : by_file_.at(stay.file)) {
        bool later = other->begin.earliest >= stay.end.latest;
        // Whatever surely follows ends it; so does what surely was there when we let go.
        if (other != &stay && other->certain &&
            (later ||
             (other->begin.latest > stay.end.earliest && other->end.earliest >= stay.end.latest)))
            perhaps_until = std::min(perhaps_until, other->begin.latest);
        if (other->certain && other->begin.latest <= stay.end.earliest &&
            other->end.earliest >= stay.end.latest && other->cgroup != stay.cgroup)
            perhaps_until = 0; // another workload had it all the while
        if (other->cgroup == stay.cgroup)
            continue;
        if (later)
            surely_until = std::min(surely_until, other->begin.earliest);
        else if (other->end.latest > stay.end.earliest)
            surely_last = false;
    }
    bounds.most.add(stay.end.earliest, perhaps_until);
    if (surely_last && rules_.has_room)
        bounds.least.add(stay.end.earliest, surely_until);
    for (const Stay *other : by_file_.at(stay.file)) {
        if (other->cgroup != stay.cgroup && other->begin.latest >= stay.end.earliest &&
            other->begin.earliest <= perhaps_until)
            lost.push_back(other->begin); // received by another
    }
}

// The end of a stay with a file that lives on in another workload's table.
void Oracle::note_lost(const Stay &stay, std::vector<Edge> &lost) const {
    if (stay.file == 0)
        return;
    const auto &all = by_file_.at(stay.file);
    if (std::any_of(all.begin(), all.end(), [&](const Stay *other) {
            return other->cgroup != stay.cgroup && other->begin.earliest <= stay.end.latest &&
                   other->end.latest >= stay.end.earliest;
        }))
        lost.push_back(stay.end);
}

// That a workload lost a file which lives on elsewhere may be settled up to a scan later; if the
// workload has the device again by then, the time between may count as held.
void Oracle::settle_late(const std::vector<const Stay *> &stays, const std::vector<Edge> &lost,
                         Bounds &bounds) const {
    for (const Edge &edge : lost) {
        uint64_t settled = edge.latest + one_scan(edge.latest);
        for (const Stay *next : stays) {
            if (next->begin.earliest <= settled && next->begin.latest >= edge.earliest)
                bounds.most.add(edge.earliest, next->begin.latest);
        }
    }
}

OpenBounds Oracle::opens(uint16_t cgroup, uint8_t device) const {
    OpenBounds bounds;
    for (const Open &open : history_.opens) {
        if (open.device != device || open.at.latest < rules_.since_ns ||
            std::find(open.cgroups.begin(), open.cgroups.end(), cgroup) == open.cgroups.end())
            continue;
        bounds.most++;
        if (open.certain && open.at.earliest >= rules_.ready_ns)
            bounds.least++;
    }
    return bounds;
}

} // namespace tally::storm
