// What the collector says on the stream, and what follows from it: to go on after what it holds, to
// let go of what it receipted, or to tell of a refusal, of a receipt that proves nothing and of a
// log or a chain that is not the one we know.
#include "agent/uplink/uplink.h"

#include "attest/ledger.pb.h"

#include <algorithm>

namespace tally {

void Uplink::take_replies() {
    while (call_ != nullptr) {
        auto message = call_->next_message();
        if (!message)
            return;
        pb::AttestReply reply;
        bool parsed = reply.ParseFromArray(message->data(), static_cast<int>(message->size()));
        if (parsed && reply.has_refusal())
            on_refusal(reply.refusal());
        else if (parsed && reply.has_resume() && state_ == State::kGreeting)
            on_resume(reply.resume());
        else if (parsed && reply.has_receipt() && state_ == State::kStreaming)
            on_receipt(reply.receipt());
        else if (parsed && reply.has_receipts() && state_ == State::kStreaming)
            on_receipts(*reply.mutable_receipts());
        else
            fail(": a reply that does not belong here");
    }
}

void Uplink::on_resume(const pb::Resume &resume) {
    uint64_t receipted = receipts_.receipted();
    auto resumed = receipts_.resume(resume);
    if (!resumed) {
        if (!dispute(resume.last_sequence(), resumed.error().message))
            fail(": " + resumed.error().message, Pace::kSlow);
        return;
    }
    if (resume.last_sequence() < receipted)
        log_.warning("collector " + config_.address + " gave receipts up to sequence " +
                     std::to_string(receipted) + " and now holds " +
                     std::to_string(resume.last_sequence()) +
                     ": it lost records of this host; what the spool still has is sent again");
    state_ = State::kStreaming;
    counters_.connects++;
    sent_up_to_ = resume.last_sequence();
    await_collector();
    // With more to come, only a receipt shows that all is well.
    if (idle())
        succeed();
}

// The log holds another history of this host than the spool. Our newest attestation that has a
// counterpart there is the proof, which the collector keeps and refuses. Once: a second machine
// that attests as this host must not fill the log.
bool Uplink::dispute(uint64_t held, const std::string &reason) {
    uint64_t sequence = std::min(held, spool_.last_sequence());
    if (disputed_ || !spool_.holds(sequence))
        return false;
    auto attestation = spool_.read(sequence);
    if (!attestation)
        return false;
    log_.warning("collector " + config_.address + ": " + reason + "; showing it ours");
    pb::AttestRequest request;
    request.set_attestation(attestation->data(), attestation->size());
    send(request);
    call_->half_close();
    counters_.sent++;
    disputed_ = true;
    disputing_ = true;
    state_ = State::kStreaming;
    await_collector();
    return true;
}

void Uplink::on_receipt(const pb::Receipt &receipt) {
    if (disputing_)
        return;
    if (auto fault = receipts_.accept(receipt))
        return on_fault(*fault);
    counters_.receipted++;
    if (auto released = spool_.release_up_to(receipts_.receipted()); !released)
        log_.warning(released.error().message);
    await_collector();
    succeed();
}

void Uplink::on_receipts(pb::Receipts &batch) {
    std::string checkpoint;
    for (pb::Receipt &receipt : *batch.mutable_receipts()) {
        if (!receipt.checkpoint().empty())
            checkpoint = receipt.checkpoint();
        else
            receipt.set_checkpoint(checkpoint);
        on_receipt(receipt);
        if (call_ == nullptr) // it was not good
            return;
    }
}

void Uplink::on_fault(const Receipts::Fault &fault) {
    switch (fault.kind) {
    case Receipts::Fault::Kind::kOurs:
        fail(": " + fault.reason, Pace::kSlow);
        return;
    case Receipts::Fault::Kind::kInvalid:
        counters_.invalid_receipts++;
        if (fail(" sent an invalid receipt: " + fault.reason, Pace::kSlow))
            on_event_(pb::Event::KIND_RECEIPT_INVALID, fault.reason);
        return;
    case Receipts::Fault::Kind::kInconsistent:
        counters_.inconsistent_logs++;
        if (fail(" has rewritten, forked or rolled back its log: " + fault.reason +
                     "; nothing leaves the spool",
                 Pace::kSlow))
            on_event_(pb::Event::KIND_LOG_INCONSISTENT, fault.evidence);
        return;
    }
}

void Uplink::on_refusal(const pb::Refusal &refusal) {
    counters_.refused++;
    const std::string &name = pb::Refusal::Code_Name(refusal.code());
    std::string reason = "sequence " + std::to_string(refusal.sequence()) + ": " +
                         (name.empty() ? "code " + std::to_string(refusal.code()) : name) + ": " +
                         printable(refusal.reason()) +
                         (refusal.code() == pb::Refusal::CODE_SKIPPED ? receipts_.hole() : "");
    if (fail(" refuses " + reason, Pace::kSlow))
        on_event_(pb::Event::KIND_REFUSED, reason);
}

} // namespace tally
