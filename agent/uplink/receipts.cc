#include "agent/uplink/receipts.h"

#include "attest/merkle.h"
#include "attest/receipt.h"

namespace tally {

Receipts::Receipts(Spool &spool, std::vector<NoteKey> log_keys, KeptCheckpoint kept)
    : spool_(spool), log_keys_(std::move(log_keys)), kept_(std::move(kept)) {
}

Status Receipts::resume(const pb::Resume &resume) {
    uint64_t held = resume.last_sequence();
    if (held > spool_.last_sequence())
        return Error{"it holds sequence " + std::to_string(held) +
                     " of this host, the spool ends at " + std::to_string(spool_.last_sequence()) +
                     ": was the state directory lost, or restored from a copy?"};
    if (spool_.holds(held)) {
        auto ours = spool_.read(held);
        if (!ours)
            return ours.error();
        if (!equal(sha256(*ours), view(resume.head())))
            return Error{"it holds another sequence " + std::to_string(held) +
                         " of this host than the spool: does a second agent, or a copy of this "
                         "machine, attest as this host?"};
    }

    held_ = held;
    awaited_ = std::min(first_unreceipted(), held + 1);
    receipted_ = std::min(receipted_, held);
    in_flight_.clear();
    hole_.clear();
    uint64_t next = spool_.next_after(held);
    if (next > held + 1)
        hole_ = "; it holds up to sequence " + std::to_string(held) + ", the spool goes on at " +
                std::to_string(next) +
                ": what lies between was damaged here, or lost there after its receipt";
    return ok();
}

void Receipts::sent(uint64_t sequence, ByteView attestation) {
    in_flight_.push_back({sequence, leaf_hash(attestation)});
}

std::optional<Receipts::Fault> Receipts::accept(const pb::Receipt &receipt) {
    using Kind = Fault::Kind;
    uint64_t sequence = receipt.sequence();
    std::string which = "a receipt for sequence " + std::to_string(sequence);
    bool was_held = awaited_ <= held_;
    if (!was_held && in_flight_.empty())
        return Fault{Kind::kInvalid, which + ", none is due", ""};
    uint64_t due = was_held ? awaited_ : in_flight_.front().sequence;
    if (sequence != due)
        return Fault{Kind::kInvalid, which + " where that for " + std::to_string(due) + " is due",
                     ""};
    if (auto fault = follow_log(receipt))
        return fault;

    // Where recovery found damage there is nothing left to check, nor to let go.
    if (!was_held || spool_.holds(sequence)) {
        Digest leaf{};
        if (was_held) {
            auto attestation = spool_.read(sequence);
            if (!attestation)
                return Fault{Kind::kOurs, attestation.error().message, ""};
            leaf = leaf_hash(*attestation);
        } else {
            leaf = in_flight_.front().leaf;
        }
        if (auto included = check_inclusion(receipt, leaf, checkpoint_); !included)
            return Fault{Kind::kInvalid,
                         "the receipt for sequence " + std::to_string(sequence) + ": " +
                             included.error().message,
                         ""};
    }

    if (was_held)
        awaited_++;
    else
        in_flight_.pop_front();
    receipted_ = std::max(receipted_, sequence);
    return std::nullopt;
}

// The receipt's checkpoint: that it is the log's, and that the log has only grown.
std::optional<Receipts::Fault> Receipts::follow_log(const pb::Receipt &receipt) {
    if (receipt.checkpoint() == checkpoint_text_ && !checkpoint_text_.empty())
        return std::nullopt;
    auto checkpoint = open_checkpoint(receipt.checkpoint(), log_keys_);
    if (!checkpoint)
        return Fault{Fault::Kind::kInvalid,
                     "the receipt for sequence " + std::to_string(receipt.sequence()) +
                         ": checkpoint: " + checkpoint.error().message,
                     ""};
    if (auto fault = kept_.extend(*checkpoint, receipt))
        return Fault{fault->inconsistent ? Fault::Kind::kInconsistent : Fault::Kind::kOurs,
                     fault->reason, fault->evidence};
    checkpoint_ = *std::move(checkpoint);
    checkpoint_text_ = receipt.checkpoint();
    return std::nullopt;
}

} // namespace tally
