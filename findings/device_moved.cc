// device, overclaim: one device, by its UUID, on two hosts.
//
// Proves (overclaim): two hosts say that the device was held on each at one time, and neither
// window leaves room for the holds to have followed each other. One of the two lies.
// Proves (device): the device was in one host's inventory and then in another's: it moved.
// Does not prove: anything about devices without a UUID; nor an overlap that is shorter than what
// hosts' clocks may differ by, or hidden in windows that were only partly held. Of each host and
// device the last intervals of holding are remembered: a host that delivers a week late is compared
// with what is left.
#include "base/text.h"
#include "findings/device_uuid.h"
#include "findings/rule.h"

#include <algorithm>
#include <deque>

namespace tally {

namespace {

constexpr uint64_t kClocksDiffer = 2'000'000'000;
constexpr size_t kRememberedIntervals = 256; // of a host and device

// Consecutive windows in which a device was held, by the host's wall clock.
struct Interval {
    uint64_t begin = 0;
    uint64_t end = 0;
    uint64_t held = 0;

    // The least time within [from, to) in which it was held, wherever the rest of it lay.
    uint64_t held_within(uint64_t from, uint64_t to) const {
        uint64_t outside = (end - begin) - (to - from);
        return held > outside ? held - outside : 0;
    }
};

// How long both were held at once, at least.
uint64_t at_once(const Interval &a, const Interval &b) {
    uint64_t from = std::max(a.begin, b.begin);
    uint64_t to = std::min(a.end, b.end);
    if (from >= to)
        return 0;
    uint64_t both = a.held_within(from, to) + b.held_within(from, to);
    return both > to - from ? both - (to - from) : 0;
}

struct OnHost {
    uint64_t first_index = 0; // of the inventory that brought it here
    uint64_t first_sequence = 0;
    Digest first_digest{};
    std::deque<Interval> held;
};

class DeviceMovedRule : public Rule {
public:
    void see(const Entry &entry, std::span<const Gap>, Found &) override {
        const pb::Statement &statement = entry.statement();
        for (const pb::Device &device : statement.inventory().devices()) {
            if (std::string uuid = device_uuid(device); !uuid.empty())
                devices_[uuid].try_emplace(
                    statement.host(),
                    OnHost{entry.index, statement.sequence(), entry.opened.digest, {}});
        }
        // By device, as long as by the workload that held it longest: at least so long.
        std::map<std::string, uint64_t> held;
        for (const pb::Usage &usage : statement.usage()) {
            const pb::Device *device = entry.device(usage);
            std::string uuid = device != nullptr ? device_uuid(*device) : "";
            if (!uuid.empty() && usage.held_ns() > 0)
                held[uuid] = std::max(held[uuid], usage.held_ns());
        }
        for (const auto &[uuid, ns] : held)
            hold(devices_[uuid][statement.host()], statement.window(), ns);
    }

    void end(const Coverage &, Found &found) const override {
        for (const auto &[uuid, hosts] : devices_) {
            if (hosts.size() > 1)
                compare(uuid, hosts, found);
        }
    }

private:
    using Hosts = std::map<std::string, OnHost>;

    static void hold(OnHost &host, const pb::Window &window, uint64_t ns) {
        uint64_t begin = window.begin_wall_ns();
        uint64_t end = window.end_wall_ns();
        if (end <= begin)
            return;
        ns = std::min(ns, end - begin);
        auto &held = host.held;
        bool follows = !held.empty() && begin <= held.back().end && begin > held.back().begin;
        // Intervals of fully held windows stay apart from others, which would blur them.
        bool alike = follows && (held.back().held == held.back().end - held.back().begin) ==
                                    (ns == end - begin);
        if (alike && end > held.back().end) {
            held.back().held += std::min(ns, end - held.back().end);
            held.back().end = end;
            return;
        }
        held.push_back({begin, end, ns});
        if (held.size() > kRememberedIntervals)
            held.pop_front();
    }

    static void compare(const std::string &uuid, const Hosts &hosts, Found &found) {
        bool twice = false;
        for (auto a = hosts.begin(); a != hosts.end(); ++a) {
            for (auto b = std::next(a); b != hosts.end(); ++b)
                twice |= compare(uuid, *a, *b, found);
        }
        if (twice)
            return;
        auto earlier = [](const auto &a, const auto &b) {
            return a.second.first_index < b.second.first_index;
        };
        auto from = std::min_element(hosts.begin(), hosts.end(), earlier);
        for (auto to = hosts.begin(); to != hosts.end(); ++to) {
            if (to != from)
                found.add(Finding{to->second.first_index, to->first, to->second.first_sequence,
                                  "device",
                                  printable(uuid) + " was on host " + from->first + " before",
                                  to->second.first_digest, lasting_number(uuid + from->first)});
        }
    }

    static bool compare(const std::string &uuid, const Hosts::value_type &a,
                        const Hosts::value_type &b, Found &found) {
        uint64_t longest = 0;
        uint64_t from = 0;
        for (const Interval &one : a.second.held) {
            for (const Interval &other : b.second.held) {
                if (uint64_t both = at_once(one, other); both > longest) {
                    longest = both;
                    from = std::max(one.begin, other.begin);
                }
            }
        }
        if (longest <= kClocksDiffer)
            return false;
        const auto &later = a.second.first_index > b.second.first_index ? a : b;
        const auto &earlier = &later == &a ? b : a;
        found.add(Finding{later.second.first_index, later.first, later.second.first_sequence,
                          "overclaim",
                          printable(uuid) + " was held at once on host " + earlier.first +
                              " for at least " + duration(longest) + " from " + utc_time(from),
                          later.second.first_digest, lasting_number(uuid + earlier.first)});
        return true;
    }

    std::map<std::string, Hosts> devices_; // by UUID
};

} // namespace

std::unique_ptr<Rule> device_moved_rule() {
    return std::make_unique<DeviceMovedRule>();
}

} // namespace tally
