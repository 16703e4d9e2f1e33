// What an auditor should look at in a log that verifies:
//
//   gap           over a second of a host's time that no statement covers
//   clock         the host's wall clock went back
//   loss          something the kernel side counted as lost
//   unattributed  a device was in use by a workload without a tenant
//   event         what the agent itself reported, but its starts and stops and who asked for them
#pragma once

#include "audit/coverage.h"
#include "audit/walk.h"

#include <map>
#include <string>
#include <tuple>
#include <vector>

namespace tally {

struct Finding {
    uint64_t index = 0; // of the (first) attestation that shows it, in the log
    std::string host;
    uint64_t sequence = 0;
    std::string kind;
    std::string text; // one printable line
};

class Findings {
public:
    // Takes a host's attestations in order; `gaps` is what coverage made of this one.
    void add(const Entry &entry, const std::vector<Gap> &gaps);
    // In the log's order. Losses, unattributed use and events are one finding per host and subject.
    std::vector<Finding> all() const;

private:
    void add(const Entry &entry, const char *kind, std::string text);
    void add_clock(const Entry &entry);
    void add_event(const Entry &entry, const std::string &text);
    void add_unattributed(const Entry &entry);

    struct Repeated {
        size_t position = 0; // of the first, in found_
        uint64_t last_sequence = 0;
        uint64_t statements = 0;
        uint64_t amount = 0;
        std::string pid; // "pid 77", of an event's first
        bool by_others = false;
    };
    Repeated &repeated(const Entry &entry, const char *kind, const std::string &subject,
                       const std::string &text);

    std::vector<Finding> found_;
    std::map<std::tuple<std::string, std::string, std::string>, Repeated> repeated_;
    std::map<std::string, uint64_t> end_wall_ns_; // of each host's last window
};

} // namespace tally
