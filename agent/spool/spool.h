// The spool: the durable queue of attestations on the host, between signing and the collector's
// receipt. It keeps what the collector has not yet promised to keep.
//
//   <directory>/<first sequence, 20 digits>.seg     records (segment.h), up to 1 MiB
//   <directory>/<...>.seg.damaged-<N>               bytes set aside at recovery, for a person
//
// Opening is recovery: every segment is scanned, there is no state file to disagree with them.
//   - A record at the very end that is cut short is a crash during append: it was never
//     acknowledged, and is truncated. That is ordinary, not damage.
//   - Other bytes that are no record are damage. They are copied aside, reported once, and stay
//     where they are; good records before and after remain usable. Nothing is renumbered.
//   - A segment without one good record is renamed aside whole.
//
// A hole in the middle is kept as a hole. The uplink sends on after it, the collector refuses that
// with SKIPPED unless it already holds the lost record, and the host keeps recording and spooling.
// The chain commits to the lost record, so nothing the host could invent would mend it; what
// happened is for a person to judge, and both sides' records show it.
//
// The last segment is never released: its last record is the head of the chain after a restart.
// The directory is locked while open. One process, one thread.
#pragma once

#include "agent/spool/segment.h"
#include "base/fd.h"
#include "base/result.h"

#include <string>
#include <vector>

namespace tally {

class Spool {
public:
    static constexpr uint64_t kSegmentBytes = 1 << 20;

    // Creates the directory if need be. `segment_bytes` is for tests.
    static Result<Spool> open(const std::string &directory, uint64_t max_bytes,
                              uint64_t segment_bytes = kSegmentBytes);

    // Durable when it returns ok. The sequence must be last_sequence() + 1, or any in an empty
    // spool. After a failed write nothing more is accepted: what is on disk is unknown until the
    // next open. Appends beyond max_bytes still succeed; see is_full().
    Status append(uint64_t sequence, ByteView attestation);

    // The record's bytes, their CRC checked again. An error if there is no such record.
    Result<Bytes> read(uint64_t sequence) const;

    bool holds(uint64_t sequence) const;
    uint64_t first_sequence() const;              // 0: empty
    uint64_t last_sequence() const;               // 0: empty
    uint64_t next_after(uint64_t sequence) const; // the lowest held above it; 0: none

    // Deletes the segments whose records are all at or below `sequence`, except the last segment.
    Status release_up_to(uint64_t sequence);

    // Over max_bytes, or its disk has less than kReserve left. The agent then closes no window: it
    // lets the current one grow instead of appending, so that totals survive while detail is given
    // up.
    static constexpr uint64_t kReserve = 1 << 20; // a window in many parts, and a new segment
    bool is_full() const;
    uint64_t bytes() const;

    // What recovery found, one line each. Damage is reported when it is first seen; a hole where a
    // whole segment is gone, at every start until it is released.
    const std::vector<std::string> &damage() const { return damage_; }
    // Bytes of a record cut short by a crash that recovery removed; 0 if none.
    uint64_t torn_bytes() const { return torn_bytes_; }

private:
    struct Segment {
        uint64_t number = 0; // its first sequence, and its name
        uint64_t bytes = 0;
        std::vector<Run> runs; // at least one
    };

    Spool() = default;
    std::string path_of(uint64_t number) const;
    Status recover();
    Status recover_segment(uint64_t number, uint64_t expected, uint64_t next_number);
    void set_aside(const std::string &path, ByteView contents, const Damage &damage);
    Status start_segment(uint64_t sequence, ByteView record);
    const Segment *segment_of(uint64_t sequence) const;
    const Run *run_of(uint64_t sequence) const;

    std::string directory_;
    uint64_t max_bytes_ = 0;
    uint64_t segment_bytes_ = 0;
    Fd lock_; // the directory, flock(2)ed
    Fd tail_; // the last segment, for appending
    bool failed_ = false;
    std::vector<Segment> segments_; // by number
    std::vector<std::string> damage_;
    uint64_t torn_bytes_ = 0;
};

} // namespace tally
