// The events of one window. What repeats is folded and counted, so that a flood of one kind crowds
// out neither the other kinds nor the usage; nothing is left out without its number.
#pragma once

#include "attest/statement.pb.h"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace tally {

namespace pb = tallystick::v1;

class Events {
public:
    static constexpr size_t kMostOfAKind = 12;
    static constexpr size_t kMost = 64; // and for each kind one more, with the number left out

    // Whether it is the first of its kind and detail in this window.
    bool note(pb::Event::Kind kind, const std::string &detail, uint64_t boottime_ns);

    // In the order of their first occurrence, each at the time of that: "DETAIL (17 times)", and
    // for what was left out "12 more of this kind".
    // `let_out` is called once for each detail, before how often it was is written behind it.
    std::vector<pb::Event> all(const std::function<void(pb::Event &)> &let_out = {}) const;
    bool empty() const { return noted_.empty() && left_out_.empty(); }
    void clear();

private:
    struct Noted {
        pb::Event event;
        uint64_t times = 1;
    };
    std::vector<Noted> noted_;
    std::map<pb::Event::Kind, Noted> left_out_; // the first of each kind
};

// For the log: "clock set: by +5000000000 ns".
std::string event_line(pb::Event::Kind kind, const std::string &detail);

} // namespace tally
