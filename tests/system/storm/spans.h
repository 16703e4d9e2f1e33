// Sets of instants on one clock, as disjoint intervals.
#pragma once

#include <cstdint>
#include <iterator>
#include <map>

namespace tally::storm {

class Spans {
public:
    // Joins with what it touches. Nothing happens if `end` is not after `begin`.
    void add(uint64_t begin, uint64_t end) {
        if (end <= begin)
            return;
        auto at = spans_.upper_bound(begin);
        if (at != spans_.begin() && std::prev(at)->second >= begin) {
            --at;
            begin = at->first;
        }
        while (at != spans_.end() && at->first <= end) {
            if (at->second > end)
                end = at->second;
            at = spans_.erase(at);
        }
        spans_[begin] = end;
    }

    void add(const Spans &others) {
        for (const auto &[begin, end] : others.spans_)
            add(begin, end);
    }

    // Each interval longer by `by` at both ends, or shorter.
    Spans widened(uint64_t by) const {
        Spans wide;
        for (const auto &[begin, end] : spans_)
            wide.add(begin < by ? 0 : begin - by, end + by);
        return wide;
    }
    Spans narrowed(uint64_t by) const {
        Spans narrow;
        for (const auto &[begin, end] : spans_)
            narrow.add(begin + by, end < by ? 0 : end - by);
        return narrow;
    }

    uint64_t length(uint64_t from, uint64_t to) const {
        uint64_t sum = 0;
        for (const auto &[begin, end] : spans_) {
            uint64_t first = begin < from ? from : begin;
            uint64_t last = end > to ? to : end;
            if (last > first)
                sum += last - first;
        }
        return sum;
    }
    size_t count() const { return spans_.size(); }

private:
    std::map<uint64_t, uint64_t> spans_;
};

} // namespace tally::storm
