// The SQL index: which attestation lies where in the log, who held which device, and where every
// host's chain stands. Derived: it can be deleted at any time and is then rebuilt from the log.
//
//   log_state     size and root of the log that the rows below cover
//   hosts         chain head of each host          devices   its last inventory
//   attestations  one row each
//   held_by_day, coverage_by_day                   sums, see days.h
//   forks         entries with a sequence that their host had used already: in none of the above
//   explanations  one row each; what they say of findings is in `findings` too
//   findings      what the rules found in the log's first `judged` entries, see watch.h
//
// Plain SQL that SQLite and PostgreSQL both take. Hashes and keys are lower-case hex. Nanoseconds
// and sequences are BIGINT: a uint64 of 2^63 and above turns negative, and comes back as it was.
#pragma once

#include "base/result.h"
#include "collector/days.h"
#include "collector/found.h"
#include "collector/hosts.h"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace soci {
class session;
}

namespace tally {

class Index {
public:
    // Opens or creates the SQLite file. An error if it is no index of this version.
    static Result<Index> open(const std::string &path);

    uint64_t size() const { return size_; }      // of the log, as far as it is indexed
    const Digest &root() const { return root_; } // of the log at that size

    // One transaction: rows of consecutive log entries, the states after them of the hosts they
    // are from, and the size and root of the log then. After an error nothing of it is there.
    Status add(std::span<const IndexRow> rows, const Hosts &changed, uint64_t size,
               const Digest &root);

    Result<Hosts> hosts();

    struct Position {
        uint64_t sequence = 0;
        uint64_t log_index = 0;
    };
    // Where a host's attestations lie, from `sequence` on, in order, at most `limit`.
    Result<std::vector<Position>> positions(const std::string &host, uint64_t sequence,
                                            size_t limit);

    // Whether the log holds this second attestation of a sequence already.
    Result<bool> holds_fork(const std::string &host, uint64_t sequence, const Digest &digest);

    // Where the log holds what was signed so (OpenedExplanation::signed_digest), if it does.
    Result<std::optional<uint64_t>> explanation(const Digest &signed_digest);

    Result<FindingRows> findings();
    // Where `before` is what findings() is; `judged` is the log's size then.
    Status set_findings(const FindingRows &before, const FindingRows &after, uint64_t judged);
    Result<uint64_t> judged();

    // CSV, in a fixed order (days.h).
    Result<std::string> held(const DayFilter &filter);
    Result<std::string> coverage(const DayFilter &filter);

    Index(Index &&) noexcept;
    Index &operator=(Index &&) noexcept;
    ~Index();

private:
    Index(std::unique_ptr<soci::session> sql, std::string path);

    std::unique_ptr<soci::session> sql_;
    std::string path_;
    uint64_t size_ = 0;
    Digest root_{};
};

} // namespace tally
