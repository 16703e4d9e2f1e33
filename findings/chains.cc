#include "findings/chains.h"

#include "base/bytes.h"

#include <algorithm>

namespace tally {

namespace {

constexpr size_t kRememberedSequences = 4096; // of a host: half a day of ten-second windows
constexpr size_t kRuns = 64;

uint64_t shortened(const Digest &digest) {
    return get_be64(digest.data());
}

// On one boot windows tile, and the parts of one window share it.
void place_in_time(const ChainHead &head, const pb::Statement &statement, Place &place) {
    const pb::Window &window = statement.window();
    bool same_boot = statement.boot_id() == head.boot_id;
    bool complete = head.part + 1 >= head.parts;
    bool same_window = same_boot && window.begin_boottime_ns() == head.begin_boottime_ns &&
                       window.end_boottime_ns() == head.end_boottime_ns;
    if (!complete && same_window && statement.part() == head.part + 1)
        return;
    if (!complete || statement.part() != 0)
        place.does_not_follow =
            complete ? "part " + std::to_string(statement.part() + 1) + " without those before it"
                     : "part " + std::to_string(head.part + 2) + " of " +
                           std::to_string(head.parts) + " of the window before is missing";
    if (!same_boot || same_window)
        return;
    if (window.begin_boottime_ns() < head.end_boottime_ns)
        place.told_twice_ns = head.end_boottime_ns - window.begin_boottime_ns();
    else
        place.skipped_ns = window.begin_boottime_ns() - head.end_boottime_ns;
}

} // namespace

Bytes Chains::signing_key(const std::string &host) const {
    auto known = chains_.find(host);
    return known == chains_.end() ? Bytes() : known->second.head.signing_key;
}

Chains::Placed Chains::add(uint64_t index, const Opened &opened) {
    Chain &chain = chains_[opened.statement.host()];
    Place found = place(chain, opened);
    if (found.kind != Place::Kind::kNext)
        return {std::move(found), chain.devices};
    if (found.missing_first != 0) {
        chain.said.clear(); // it holds consecutive sequences
        chain.missing.push_back(
            {found.missing_first, found.missing_last, opened.statement.previous()});
        if (chain.missing.size() > kRuns)
            chain.missing.pop_front();
    }
    chain.said.push_back({shortened(opened.digest), index});
    if (chain.said.size() > kRememberedSequences)
        chain.said.pop_front();
    if (opened.statement.has_inventory()) {
        chain.devices.clear();
        for (const pb::Device &device : opened.statement.inventory().devices())
            chain.devices[device.index()] = device;
    }
    advance(chain.head, opened.statement, opened.digest);
    chain.head.signing_key = opened.signing_key;
    chain.head_index = index;
    return {std::move(found), chain.devices};
}

Chains::Placed Chains::resume(uint64_t index, const Opened &inventory, const Opened &last) {
    Chain &chain = chains_[last.statement.host()];
    for (const pb::Device &device : inventory.statement.inventory().devices())
        chain.devices[device.index()] = device;
    advance(chain.head, inventory.statement, inventory.digest);
    advance(chain.head, last.statement, last.digest);
    chain.head.signing_key = last.signing_key;
    chain.head_index = index;
    chain.said.push_back({shortened(last.digest), index});
    return {Place(), chain.devices};
}

bool Chains::was_missing(const Chain &chain, const Opened &opened) {
    uint64_t sequence = opened.statement.sequence();
    return std::any_of(chain.missing.begin(), chain.missing.end(), [&](const Chain::Missing &run) {
        return run.first <= sequence && sequence <= run.last &&
               (sequence < run.last || equal(view(run.previous), opened.digest));
    });
}

Place Chains::place(const Chain &chain, const Opened &opened) {
    const pb::Statement &statement = opened.statement;
    const ChainHead &head = chain.head;
    Place place;
    if (statement.sequence() <= head.sequence) {
        uint64_t back = head.sequence - statement.sequence();
        place.kind = was_missing(chain, opened) ? Place::Kind::kLate : Place::Kind::kFork;
        place.earlier_known = back < chain.said.size();
        if (place.earlier_known) {
            const Chain::Said &earlier = chain.said[chain.said.size() - 1 - back];
            place.earlier_index = earlier.index;
            if (earlier.digest == shortened(opened.digest))
                place.kind = Place::Kind::kReplay;
        }
        return place;
    }
    if (statement.sequence() > head.sequence + 1) {
        place.missing_first = head.sequence + 1;
        place.missing_last = statement.sequence() - 1;
    } else if (head.sequence > 0 && !equal(view(statement.previous()), head.digest)) {
        place.other_previous = true;
        place.previous_index = chain.head_index;
    }
    place.no_inventory =
        !statement.has_inventory() && (head.sequence == 0 || statement.boot_id() != head.boot_id);
    if (head.sequence == 0)
        return place;
    place_in_time(head, statement, place);
    if (opened.signing_key != head.signing_key)
        place.earlier_key = to_hex(sha256(head.signing_key));
    return place;
}

} // namespace tally
