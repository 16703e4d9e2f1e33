#include "collector/stream.h"

#include "attest/dsse.h"

#include <algorithm>

namespace tally {

namespace {

grpc::Status unavailable(const std::string &reason) {
    return {grpc::StatusCode::UNAVAILABLE, reason};
}

// What the attestation claims, unverified: for a refusal's text. Empty if it cannot be read.
pb::Statement claimed(ByteView attestation) {
    auto envelope = dsse_open(attestation);
    pb::Statement statement;
    if (!envelope || !statement.ParseFromArray(envelope->payload.data(),
                                               static_cast<int>(envelope->payload.size())))
        statement.Clear();
    return statement;
}

} // namespace

Stream::Stream(uint64_t number, Peer peer, const FleetRoot &root, Sequencer &sequencer,
               const Log &lines)
    : number_(number), peer_(std::move(peer)), root_(root), sequencer_(sequencer), lines_(lines) {
}

std::string Stream::name() const {
    return printable(peer_.host.empty() ? peer_.address : peer_.host);
}

void Stream::start() {
    self_ = shared_from_this();
    lines_.info(name() + ": connected from " + printable(peer_.address));
    if (peer_.host.empty())
        refuse({pb::Refusal::CODE_BAD_CERTIFICATE,
                "the TLS certificate must name exactly one DNS host"},
               0);
    std::lock_guard lock(mutex_);
    advance_io();
}

void Stream::stop() {
    end(unavailable("the collector is stopping"));
}

// ---- What the host sends ----

void Stream::OnReadDone(bool good) {
    Phase phase = Phase::kEnding;
    {
        std::lock_guard lock(mutex_);
        reading_ = false;
        phase = phase_;
        if (!good && phase_ != Phase::kEnding)
            phase_ = Phase::kEnding; // half-closed: status OK once all is answered
        if (!good || phase == Phase::kEnding)
            return advance_io();
        handling_ = true;
    }
    // No lock: the sequencer may answer at once. Nothing else is read meanwhile.
    pb::AttestRequest request;
    if (!grpc::SerializationTraits<pb::AttestRequest>::Deserialize(&request_, &request).ok())
        refuse({pb::Refusal::CODE_MALFORMED, "the message is not an AttestRequest"}, 0);
    else if (phase == Phase::kGreeting && request.has_hello())
        on_hello(request.hello());
    else if (phase == Phase::kOpen && request.message_case() == pb::AttestRequest::kAttestation)
        on_attestation(request.attestation());
    else
        refuse({pb::Refusal::CODE_PROTOCOL, phase == Phase::kGreeting
                                                ? "the first message must be Hello"
                                                : "expected an attestation"},
               0);
    std::lock_guard lock(mutex_);
    handling_ = false;
    advance_io();
}

void Stream::on_hello(const pb::Hello &hello) {
    {
        std::lock_guard lock(mutex_);
        if (phase_ == Phase::kGreeting)
            phase_ = Phase::kResuming;
    }
    sequencer_.join(peer_.host, number_,
                    [self = shared_from_this(), first = hello.first_unreceipted()](
                        Sequencer::Joined joined) { self->on_joined(std::move(joined), first); });
}

void Stream::on_joined(Sequencer::Joined joined, uint64_t first_unreceipted) {
    if (const auto *away = std::get_if<TurnedAway>(&joined))
        return end(unavailable(away->reason));
    const auto &welcome = std::get<Sequencer::Welcome>(joined);
    signing_key_ = welcome.signing_key; // no read is under way while resuming
    {
        std::lock_guard lock(mutex_);
        pb::Resume &resume = *outbox_.emplace_back().mutable_resume();
        resume.set_last_sequence(welcome.last_sequence);
        if (welcome.last_sequence > 0)
            resume.set_head(welcome.head.data(), welcome.head.size());
        next_old_ = std::max<uint64_t>(first_unreceipted, 1);
        last_old_ = welcome.last_sequence;
        if (next_old_ > last_old_ && phase_ == Phase::kResuming)
            phase_ = Phase::kOpen;
        advance_io();
    }
    ask_page();
}

void Stream::ask_page() {
    uint64_t from = 0;
    {
        std::lock_guard lock(mutex_);
        if (phase_ != Phase::kResuming || asked_ || writing_ || next_old_ > last_old_)
            return;
        asked_ = true;
        from = next_old_;
    }
    sequencer_.receipts(
        peer_.host, from, kPage,
        [self = shared_from_this()](Sequencer::Receipts page) { self->on_page(std::move(page)); });
}

void Stream::on_page(Sequencer::Receipts page) {
    if (const auto *away = std::get_if<TurnedAway>(&page))
        return end(unavailable(away->reason));
    auto &receipts = std::get<std::vector<pb::Receipt>>(page);
    if (receipts.empty())
        return end(unavailable("the index lacks attestations that the log holds"));
    std::lock_guard lock(mutex_);
    asked_ = false;
    next_old_ = receipts.back().sequence() + 1;
    for (pb::Receipt &receipt : receipts)
        *outbox_.emplace_back().mutable_receipt() = std::move(receipt);
    if (next_old_ > last_old_ && phase_ == Phase::kResuming)
        phase_ = Phase::kOpen;
    advance_io(); // asks for the next page once these are written
}

void Stream::on_attestation(const std::string &bytes) {
    auto opened = open_attestation(view(bytes), signing_key_, root_);
    const auto *breach = std::get_if<Breach>(&opened);
    pb::Statement unverified = breach != nullptr ? claimed(view(bytes)) : pb::Statement();
    const pb::Statement &statement =
        breach != nullptr ? unverified : std::get<Opened>(opened).statement;
    uint64_t sequence = statement.sequence();
    if (!statement.host().empty() && statement.host() != peer_.host)
        return refuse(
            {pb::Refusal::CODE_WRONG_HOST, "the statement names " + printable(statement.host()) +
                                               ", the TLS certificate " + printable(peer_.host)},
            sequence);
    if (breach != nullptr)
        return refuse(*breach, sequence);
    auto &good = std::get<Opened>(opened);
    signing_key_ = good.signing_key;
    {
        std::lock_guard lock(mutex_);
        ++in_flight_;
    }
    sequencer_.submit(peer_.host, number_, std::move(good), to_bytes(view(bytes)),
                      [self = shared_from_this(), sequence](Sequencer::Verdict verdict) {
                          self->on_verdict(std::move(verdict), sequence);
                      });
}

// ---- What the collector answers ----

void Stream::on_verdict(Sequencer::Verdict verdict, uint64_t sequence) {
    std::lock_guard lock(mutex_);
    --in_flight_;
    if (verdict_ended_)
        return advance_io();
    if (auto *receipt = std::get_if<pb::Receipt>(&verdict)) {
        *outbox_.emplace_back().mutable_receipt() = std::move(*receipt);
        ++receipted_;
        return advance_io();
    }
    // In the order of the stream this comes before any refusal found while reading ahead.
    verdict_ended_ = true;
    phase_ = Phase::kEnding;
    refusal_.reset();
    if (const auto *breach = std::get_if<Breach>(&verdict))
        set_refusal(*breach, sequence);
    else
        status_ = unavailable(std::get<TurnedAway>(verdict).reason);
    advance_io();
}

void Stream::refuse(const Breach &breach, uint64_t sequence) {
    std::lock_guard lock(mutex_);
    if (verdict_ended_)
        return;
    phase_ = Phase::kEnding;
    set_refusal(breach, sequence);
    advance_io();
}

void Stream::set_refusal(const Breach &breach, uint64_t sequence) {
    status_ = grpc::Status::OK;
    refusal_.emplace();
    refusal_->set_code(breach.code);
    refusal_->set_sequence(sequence);
    refusal_->set_reason(printable(breach.reason));
}

void Stream::log_refusal(const pb::Refusal &refusal) const {
    std::string what = refusal.sequence() == 0
                           ? std::string("a message")
                           : "attestation " + std::to_string(refusal.sequence());
    lines_.warning(name() + ": refused " + what + ": " + pb::Refusal::Code_Name(refusal.code()) +
                   ": " + refusal.reason());
}

void Stream::end(grpc::Status status) {
    std::lock_guard lock(mutex_);
    if (phase_ != Phase::kEnding)
        status_ = std::move(status);
    phase_ = Phase::kEnding;
    advance_io();
}

// gRPC allows one read and one write at a time, and one Finish after the last write.
void Stream::advance_io() {
    if (refusal_ && in_flight_ == 0) {
        log_refusal(*refusal_);
        *outbox_.emplace_back().mutable_refusal() = *std::move(refusal_);
        refusal_.reset();
    }
    if (finished_)
        return;
    if (broken_)
        outbox_.clear();
    if (!writing_ && !outbox_.empty()) {
        reply_.Clear();
        bool own = false;
        grpc::SerializationTraits<pb::AttestReply>::Serialize(outbox_.front(), &reply_, &own);
        outbox_.pop_front();
        writing_ = true;
        StartWrite(&reply_);
    }
    if (phase_ == Phase::kEnding) {
        if (!writing_ && !handling_ && (in_flight_ == 0 || broken_)) {
            finished_ = true;
            Finish(status_);
        }
        return;
    }
    bool wants = phase_ == Phase::kGreeting ||
                 (phase_ == Phase::kOpen && in_flight_ + outbox_.size() < kWindow &&
                  (in_flight_ == 0 || !sequencer_.crowded()));
    if (wants && !reading_ && !handling_) {
        reading_ = true;
        StartRead(&request_);
    }
}

void Stream::OnWriteDone(bool good) {
    {
        std::lock_guard lock(mutex_);
        writing_ = false;
        if (!good) {
            broken_ = true;
            phase_ = Phase::kEnding;
        }
        advance_io();
    }
    ask_page();
}

void Stream::OnCancel() {
    std::lock_guard lock(mutex_);
    broken_ = true;
    if (phase_ != Phase::kEnding)
        status_ = grpc::Status::CANCELLED;
    phase_ = Phase::kEnding;
    advance_io();
}

void Stream::OnDone() {
    lines_.info(name() + ": disconnected, " + std::to_string(receipted_) +
                " attestations receipted");
    self_.reset(); // may be the last reference
}

} // namespace tally
