// What an auditor should look at although the log verifies: time that is not accounted for, events
// lost in recording, use that no tenant answers for, trouble that the agent itself reports.
#pragma once

#include "audit/timeline.h"
#include "audit/walk.h"

#include <map>
#include <set>
#include <tuple>

namespace tally {

struct Finding {
    std::string kind; // "gap", "clock", "loss", "unattributed", "event"
    std::string host;
    uint64_t first_sequence = 0;
    uint64_t last_sequence = 0;
    uint64_t first_index = 0; // in the log
    uint64_t last_index = 0;
    uint64_t begin_wall_ns = 0; // of the first statement's window
    std::string text;           // one printable line: "host1: ... (sequence 7, log index 12)"
};

// Gathers over a walk. Like things of one host become one finding, with the places of the first and
// the last, so that memory grows with what is different, not with the log.
class Findings {
public:
    void add(const Entry &entry);

    std::vector<Finding> list() const; // by host and kind
    const std::map<std::string, Timeline> &hosts() const { return hosts_; }

private:
    struct Sum {
        Finding finding;
        uint64_t amount = 0; // ns or events, by kind
        uint64_t times = 0;
    };
    void note(const Entry &entry, const std::string &kind, const std::string &subject,
              uint64_t amount);
    void add_time(const Entry &entry);
    void add_usage(const Entry &entry);
    void add_recording(const Entry &entry);

    std::map<std::string, Timeline> hosts_;
    // By host, kind and subject.
    std::map<std::tuple<std::string, std::string, std::string>, Sum> sums_;
};

// "/a/b", or the cgroup's number if it was gone before its path could be read. Printable.
std::string cgroup_name(const pb::Workload &workload);

} // namespace tally
