// Something an auditor should look at, in a log that verifies.
#pragma once

#include "findings/entry.h"

#include <map>
#include <set>
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
    bool operator==(const Finding &) const = default;
};

// What the rules found. Bounded: of one host and kind it keeps the first thousand and counts the
// rest, so that a hostile host cannot make an auditor run out of memory.
class Found {
public:
    void add(const Entry &entry, const char *kind, std::string text);
    void add(Finding finding);

    // One of an earlier run over the log's beginning.
    void restore(Finding finding);
    // From here on what was restored is not said again: at the end a log's beginning is judged
    // anew.
    void ending() { ending_ = true; }

    // The same thing seen in many statements is one finding. `line` writes its text from what was
    // said first and from `amount`, which the rule sums or raises.
    struct Repeated {
        size_t position = 0; // of the finding
        uint64_t last_sequence = 0;
        uint64_t statements = 0;
        uint64_t amount = 0;
        std::string pid; // "pid 77", of an event's first
        bool by_others = false;
        std::string opener; // who held a device first, of a workload nobody answers for
        std::string (*line)(const std::string &subject, const Repeated &) = nullptr;
    };
    using Line = std::string (*)(const std::string &subject, const Repeated &);
    // `key` tells apart what is counted apart; `subject` is only read the first time.
    Repeated &repeat(const Entry &entry, const char *kind, const std::string &key,
                     const std::string &subject, Line line);
    Repeated &repeat(const Entry &entry, const char *kind, const std::string &subject, Line line) {
        return repeat(entry, kind, subject, subject, line);
    }

    // What the agent saw happen. What a program does time and again, each time as another process,
    // is one finding.
    void see_event(const Entry &entry, const char *kind, const pb::Event &event);

    std::vector<Finding> all() const; // in the log's order

private:
    // Whether there is room for one more.
    bool has_room(const Finding &finding);

    std::vector<Finding> found_;
    std::map<std::tuple<std::string, std::string, std::string>, Repeated> repeated_;
    std::map<std::pair<std::string, std::string>, uint64_t> counts_;       // by host and kind
    std::set<std::tuple<std::string, std::string, std::string>> restored_; // host, kind, text
    bool ending_ = false;
    Repeated dropped_; // takes what there is no room for
};

// kind,host,sequence,log_index,text
std::string findings_csv(const std::vector<Finding> &findings);

// ", in 3 statements"; nothing for one.
std::string in_statements(const Found::Repeated &repeated);

} // namespace tally
