// Something an auditor should look at, in a log that verifies. It is open or explained, never
// deleted.
#pragma once

#include "attest/explain.h"
#include "findings/entry.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace tally {

// What an explanation says, in short.
struct Explained {
    std::string who;
    uint64_t wall_ns = 0; // by its signer's clock
    std::string why;
    std::string reference; // may be empty
    bool withdrawn = false;
    bool operator==(const Explained &) const = default;
};

Explained explained_by(const OpenedExplanation &opened);
// "explained by X, 2026-11-25T22:00:00.000Z: WHY (REFERENCE)".
std::string in_words(const Explained &explained);

struct Finding {
    uint64_t index = 0; // of the (first) entry that shows it, in the log
    std::string host;   // of an explanation, here and below: its signer, and 0
    uint64_t sequence = 0;
    std::string kind;
    std::string text; // one printable line
    Digest digest{};  // SHA-256 of that entry
    // Of its kind, among those that the entry shows: counted from 1 on, or where the order may
    // change as the log grows, made by the rule from what it is about.
    uint32_t nth = 0;
    std::vector<uint64_t> explanations; // all that name it, by log index; the last counts
    std::optional<Explained> last;      // what that one says

    bool is_open() const { return !last || last->withdrawn; }
    bool operator==(const Finding &) const = default;
};

// Its name in short, in one log: "gap@201", "device@17.2" where it is not the first of its kind.
std::string id_of(const std::string &kind, uint64_t index, uint32_t nth);
inline std::string id_of(const Finding &finding) {
    return id_of(finding.kind, finding.index, finding.nth);
}
inline std::string id_of(const pb::FindingName &name) {
    return id_of(name.kind(), name.log_index(), name.nth());
}
// Its name in full, as an explanation says it.
pb::FindingName name_of(const Finding &finding);
bool has_name(const Finding &finding, const pb::FindingName &name);
// A number (Finding::nth) for what a rule cannot count so that it lasts.
uint32_t lasting_number(const std::string &about);

uint64_t open_among(const std::vector<Finding> &findings);
// "3 findings", "3 findings, 1 of them explained".
std::string findings_in_words(const std::vector<Finding> &findings);

// What the rules found. Bounded: of one host and kind it keeps the first thousand and counts the
// rest, so that a hostile host cannot make an auditor run out of memory. The last of a thousand
// stands for the rest, and no explanation closes it.
class Found {
public:
    void add(const Entry &entry, const char *kind, std::string text);
    // Numbered here unless the rule has done so. In the log's order.
    void add(Finding finding);

    // If it is there, what was said of it is complete: what is seen of it from here on is a finding
    // of its own, which nobody has explained. Whether it is there.
    bool close(const pb::FindingName &name);

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
    // Whether it stands for others that there was no room for.
    bool stands_for_more(const Finding &finding) const;

private:
    // Whether there is room for one more.
    bool has_room(const Finding &finding);
    void push(Finding finding);

    std::vector<Finding> found_;
    std::map<std::tuple<std::string, std::string, std::string>, Repeated> repeated_;
    std::vector<Repeated> closed_;
    std::map<std::pair<std::string, std::string>, uint64_t> counts_;       // by host and kind
    std::set<std::tuple<std::string, std::string, std::string>> restored_; // host, kind, text
    bool ending_ = false;
    Repeated dropped_; // takes what there is no room for
};

// kind,host,sequence,log_index,text,id,state,explained_by,explained_at,why,reference,explanations:
// what explains it is empty where it is open; `explanations` are log indices, spaces between.
std::string findings_csv(const std::vector<Finding> &findings);
std::string joined(const std::vector<uint64_t> &numbers); // by spaces

// ", in 3 statements"; nothing for one.
std::string in_statements(const Found::Repeated &repeated);

} // namespace tally
