// Where each statement stands in its host's chain. The collector appends only what follows
// (attest/rules.h); a log is judged without that belief: what it lacks, holds twice or holds in two
// versions is found here, and the rules gap, fork, replay and key say so.
//
// Once a chain has forked, the statement that came first with a sequence is the one that counts.
#pragma once

#include "findings/entry.h"

#include <deque>
#include <unordered_map>

namespace tally {

class Chains {
public:
    // The key that the host's next statement must be signed with unless it brings another
    // certificate; empty before the first.
    Bytes signing_key(const std::string &host) const;

    // The next statement of the log, verified, and its inventory's place in memory.
    struct Placed {
        Place place;
        const Devices &devices; // until the next call
    };
    Placed add(uint64_t index, const Opened &opened);

    // Goes on where a chain stood: its last statement, and the one that brought its inventory.
    Placed resume(uint64_t index, const Opened &inventory, const Opened &last);

    struct Chain {
        ChainHead head;
        Devices devices;
        uint64_t head_index = 0;
        // Digests of the last sequences up to the head, shortened: to tell a replay from a fork.
        struct Said {
            uint64_t digest = 0;
            uint64_t index = 0;
        };
        std::deque<Said> said;
        // The last runs of sequences that the log jumped over, and what follows each.
        struct Missing {
            uint64_t first = 0;
            uint64_t last = 0;
            std::string previous; // as the statement after `last` names it
        };
        std::deque<Missing> missing;
    };

private:
    static Place place(const Chain &chain, const Opened &opened);
    static bool was_missing(const Chain &chain, const Opened &opened);

    std::unordered_map<std::string, Chain> chains_;
};

} // namespace tally
