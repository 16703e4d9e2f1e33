#include "agent/uplink/receipts.h"

#include "attest/merkle.h"
#include "attest/receipt.h"

namespace tally {

Receipts::Receipts(Spool &spool, std::vector<NoteKey> log_keys)
    : spool_(spool), log_keys_(std::move(log_keys)) {
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
    uint64_t sequence = receipt.sequence();
    bool was_held = awaited_ <= held_;
    if (!was_held && in_flight_.empty())
        return Fault{false, "a receipt for sequence " + std::to_string(sequence) + ", none is due"};
    uint64_t due = was_held ? awaited_ : in_flight_.front().sequence;
    if (sequence != due)
        return Fault{false, "a receipt for sequence " + std::to_string(sequence) +
                                " where that for " + std::to_string(due) + " is due"};

    // Where recovery found damage there is nothing left to check, nor to let go.
    if (!was_held || spool_.holds(sequence)) {
        Digest leaf{};
        if (was_held) {
            auto attestation = spool_.read(sequence);
            if (!attestation)
                return Fault{true, attestation.error().message};
            leaf = leaf_hash(*attestation);
        } else {
            leaf = in_flight_.front().leaf;
        }
        if (auto checked = check(receipt, leaf); !checked)
            return Fault{false, checked.error().message};
    }

    if (was_held)
        awaited_++;
    else
        in_flight_.pop_front();
    receipted_ = std::max(receipted_, sequence);
    return std::nullopt;
}

Status Receipts::check(const pb::Receipt &receipt, const Digest &leaf) {
    std::string which = "the receipt for sequence " + std::to_string(receipt.sequence()) + ": ";
    if (receipt.checkpoint() != checkpoint_text_ || checkpoint_text_.empty()) {
        auto checkpoint = open_checkpoint(receipt.checkpoint(), log_keys_);
        if (!checkpoint)
            return Error{which + "checkpoint: " + checkpoint.error().message};
        checkpoint_ = *checkpoint;
        checkpoint_text_ = receipt.checkpoint();
    }
    auto included = check_inclusion(receipt, leaf, checkpoint_);
    return included ? ok() : Error{which + included.error().message};
}

} // namespace tally
