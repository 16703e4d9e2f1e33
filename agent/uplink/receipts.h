// Which receipts a stream still owes, and whether each proves what it says. Only what was
// receipted here may leave the spool.
#pragma once

#include "agent/spool/spool.h"
#include "agent/uplink/kept_checkpoint.h"
#include "attest/checkpoint.h"
#include "attest/ledger.pb.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace tally {

namespace pb = tallystick::v1;

class Receipts {
public:
    Receipts(Spool &spool, std::vector<NoteKey> log_keys, KeptCheckpoint kept);

    // For Hello. What was receipted is not stored: after a restart the collector repeats the
    // receipts for what is still in the spool, at most a segment more than needed.
    uint64_t first_unreceipted() const { return std::max(receipted_ + 1, spool_.first_sequence()); }

    uint64_t checkpoint_size() const { return kept_.size(); } // for Hello

    // A new stream: judges where the collector says the chain stands. An error means that the
    // collector's chain of this host is not ours, or reaches further than ours: a restored or
    // copied state directory, or a fork. Sending would only make it worse. What it no longer
    // holds counts as unreceipted again.
    Status resume(const pb::Resume &resume);

    // The next attestation was sent on this stream.
    void sent(uint64_t sequence, ByteView attestation);

    // Verifies the next receipt; nothing if it is good.
    struct Fault {
        enum class Kind {
            kOurs,         // the state directory failed us, the receipt may be good
            kInvalid,      // it does not prove what it says
            kInconsistent, // the log is not the one that it was
        };
        Kind kind = Kind::kInvalid;
        std::string reason;
        std::string evidence; // of kInconsistent
    };
    std::optional<Fault> accept(const pb::Receipt &receipt);

    size_t in_flight() const { return in_flight_.size(); }
    // Whether the stream owes a receipt.
    bool awaits() const { return !in_flight_.empty() || awaited_ <= held_; }
    bool all_receipted() const { return receipted_ >= spool_.last_sequence(); }
    uint64_t receipted() const { return receipted_; } // 0: none since the agent started
    uint64_t held() const { return held_; }           // when the stream began
    // Why the collector may have to refuse with SKIPPED, as "; ..." for the log; else empty.
    const std::string &hole() const { return hole_; }

private:
    std::optional<Fault> follow_log(const pb::Receipt &receipt);

    struct Sent {
        uint64_t sequence = 0;
        Digest leaf{};
    };

    Spool &spool_;
    std::vector<NoteKey> log_keys_;
    KeptCheckpoint kept_;
    uint64_t receipted_ = 0;
    uint64_t held_ = 0;
    uint64_t awaited_ = 1; // up to held_: the next receipt for what it held already
    std::deque<Sent> in_flight_;
    std::string hole_;

    // A batch of receipts repeats one checkpoint; its signature is verified once.
    std::string checkpoint_text_;
    Checkpoint checkpoint_;
};

} // namespace tally
