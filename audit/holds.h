// Who held which device when, as spans of the hosts' wall clock: what `tally timeline` draws and
// `tally concurrent` counts. A window says how long a device was held within it, not when: a span
// that was not held for all of its length may have been held at any time of it.
#pragma once

#include "audit/question.h"

#include <map>
#include <string>
#include <vector>

namespace tally {

struct Holder {
    std::string host;
    std::string device;             // Device.id
    std::string tenant;             // or service; empty: unattributed
    std::vector<std::string> above; // whom it buys through, the payer last

    auto operator<=>(const Holder &) const = default;
};

struct Span {
    uint64_t begin_ns = 0;
    uint64_t end_ns = 0;
    uint64_t held_ns = 0; // at least

    bool is_whole() const { return held_ns >= end_ns - begin_ns; }
};

class Holds {
public:
    explicit Holds(Question question) : question_(std::move(question)) {}

    // Takes a host's attestations in order.
    void add(const Entry &entry);
    const std::map<Holder, std::vector<Span>> &spans() const { return spans_; }
    // Whether its device was one that computes by itself (compute.h) in any of its windows.
    bool computes(const Holder &holder) const {
        return computing_.contains({holder.host, holder.device});
    }

private:
    Question question_;
    std::map<Holder, std::vector<Span>> spans_;
    std::set<std::pair<std::string, std::string>> computing_; // host, device
};

} // namespace tally
