#include "collector/stream.h"

#include "attest/dsse.h"

#include <algorithm>
#include <utility>

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

Stream::Stream(uint64_t number, Peer peer, const Services &services)
    : number_(number), peer_(std::move(peer)), services_(services) {
}

std::string Stream::name() const {
    return printable(peer_.host.empty() ? peer_.address : peer_.host);
}

void Stream::start() {
    self_ = shared_from_this();
    services_.lines.info(name() + ": connected from " + printable(peer_.address));
    if (peer_.host.empty())
        refuse_message({pb::Refusal::CODE_BAD_CERTIFICATE,
                        "the TLS certificate must name exactly one DNS host"});
    std::lock_guard lock(mutex_);
    advance_io();
}

void Stream::stop(const std::string &reason) {
    end(unavailable(reason));
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
        refuse_message({pb::Refusal::CODE_MALFORMED, "the message is not an AttestRequest"});
    else if (phase == Phase::kGreeting && request.has_hello())
        on_hello(request.hello());
    else if (phase == Phase::kOpen && request.message_case() == pb::AttestRequest::kAttestation)
        on_attestation(std::move(*request.mutable_attestation()));
    else
        refuse_message({pb::Refusal::CODE_PROTOCOL, phase == Phase::kGreeting
                                                        ? "the first message must be Hello"
                                                        : "expected an attestation"});
    std::lock_guard lock(mutex_);
    handling_ = false;
    advance_io();
}

void Stream::on_hello(const pb::Hello &hello) {
    {
        std::lock_guard lock(mutex_);
        if (phase_ == Phase::kGreeting)
            phase_ = Phase::kResuming;
        takes_receipts_ = hello.takes_receipts();
    }
    services_.sequencer.join(
        peer_.host, number_, hello.checkpoint_size(),
        [self = shared_from_this(), first = hello.first_unreceipted()](Sequencer::Joined joined) {
            self->on_joined(std::move(joined), first);
        });
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
    services_.sequencer.receipts(
        peer_.host, number_, from, kPage,
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

void Stream::on_attestation(std::string bytes) {
    {
        std::lock_guard lock(mutex_);
        services_.backlog.add(bytes.size());
        inbox_.push_back(std::move(bytes));
        if (std::exchange(working_, true))
            return;
    }
    services_.turns.add(shared_from_this());
}

bool Stream::take_turn() {
    for (size_t i = 0; i < kTurn; ++i) {
        std::string bytes;
        {
            std::lock_guard lock(mutex_);
            if (inbox_.empty()) // all is done, or the stream broke since
                break;
            bytes = std::move(inbox_.front());
            inbox_.pop_front();
            in_flight_.push_back(bytes.size());
        }
        verify(bytes);
    }
    std::lock_guard lock(mutex_);
    working_ = !inbox_.empty();
    advance_io();
    return working_;
}

void Stream::verify(const std::string &bytes) {
    auto opened = open_attestation(view(bytes), signing_key_, services_.root);
    const auto *breach = std::get_if<Breach>(&opened);
    pb::Statement unverified = breach != nullptr ? claimed(view(bytes)) : pb::Statement();
    const pb::Statement &statement =
        breach != nullptr ? unverified : std::get<Opened>(opened).statement;
    uint64_t sequence = statement.sequence();
    if (!statement.host().empty() && statement.host() != peer_.host)
        return refuse_attestation(
            {pb::Refusal::CODE_WRONG_HOST, "the statement names " + printable(statement.host()) +
                                               ", the TLS certificate " + printable(peer_.host)},
            sequence);
    if (breach != nullptr)
        return refuse_attestation(*breach, sequence);
    auto &good = std::get<Opened>(opened);
    signing_key_ = good.signing_key;
    services_.sequencer.submit(
        peer_.host, number_, std::move(good), to_bytes(view(bytes)),
        [self = shared_from_this(), sequence](Sequencer::Verdict verdict, bool more) {
            self->on_verdict(std::move(verdict), sequence, more);
        });
}

// ---- What the collector answers ----

void Stream::on_verdict(Sequencer::Verdict verdict, uint64_t sequence, bool more) {
    std::lock_guard lock(mutex_);
    services_.backlog.remove(in_flight_.front()); // verdicts come in the order of the stream
    in_flight_.pop_front();
    if (verdict_ended_)
        return advance_io();
    if (auto *receipt = std::get_if<pb::Receipt>(&verdict)) {
        *outbox_.emplace_back().mutable_receipt() = std::move(*receipt);
        ++receipted_;
        return more ? void() : advance_io(); // a batch's receipts go as one message
    }
    // In the order of the stream this comes before any refusal found while reading ahead.
    verdict_ended_ = true;
    phase_ = Phase::kEnding;
    clear_inbox();
    refusal_.reset();
    if (const auto *breach = std::get_if<Breach>(&verdict))
        set_refusal(*breach, sequence);
    else
        status_ = unavailable(std::get<TurnedAway>(verdict).reason);
    advance_io();
}

// Of what cannot be an attestation; what is in the inbox came before it.
void Stream::refuse_message(const Breach &breach) {
    std::lock_guard lock(mutex_);
    if (phase_ == Phase::kEnding)
        return;
    phase_ = Phase::kEnding;
    set_refusal(breach, 0);
}

// On its turn: what is still in the inbox came after it.
void Stream::refuse_attestation(const Breach &breach, uint64_t sequence) {
    std::lock_guard lock(mutex_);
    services_.backlog.remove(in_flight_.back());
    in_flight_.pop_back();
    clear_inbox();
    if (verdict_ended_)
        return;
    phase_ = Phase::kEnding;
    set_refusal(breach, sequence);
}

void Stream::set_refusal(const Breach &breach, uint64_t sequence) {
    status_ = grpc::Status::OK;
    refusal_.emplace();
    refusal_->set_code(breach.code);
    refusal_->set_sequence(sequence);
    refusal_->set_reason(printable(breach.reason));
}

void Stream::clear_inbox() {
    for (const std::string &bytes : inbox_)
        services_.backlog.remove(bytes.size());
    inbox_.clear();
}

size_t Stream::unanswered() const {
    return inbox_.size() + in_flight_.size();
}

void Stream::log_refusal(const pb::Refusal &refusal) const {
    std::string what = refusal.sequence() == 0
                           ? std::string("a message")
                           : "attestation " + std::to_string(refusal.sequence());
    services_.lines.warning(name() + ": refused " + what + ": " +
                            pb::Refusal::Code_Name(refusal.code()) + ": " + refusal.reason());
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
    if (broken_) {
        clear_inbox();
        outbox_.clear();
    }
    bool answered = unanswered() == 0 && !working_;
    if (refusal_ && answered) {
        log_refusal(*refusal_);
        *outbox_.emplace_back().mutable_refusal() = *std::move(refusal_);
        refusal_.reset();
    }
    if (finished_)
        return;
    if (!writing_ && !outbox_.empty()) {
        reply_.Clear();
        bool own = false;
        grpc::SerializationTraits<pb::AttestReply>::Serialize(next_reply(), &reply_, &own);
        writing_ = true;
        // With more to come gRPC may wait, and send several in one piece.
        grpc::WriteOptions options;
        if (!outbox_.empty())
            options.set_buffer_hint();
        StartWrite(&reply_, options);
    }
    if (phase_ == Phase::kEnding) {
        if (!writing_ && !handling_ && (answered || broken_)) {
            finished_ = true;
            Finish(status_);
        }
        return;
    }
    bool wants = phase_ == Phase::kGreeting ||
                 (phase_ == Phase::kOpen && unanswered() + outbox_.size() < kWindow &&
                  (unanswered() == 0 || !services_.backlog.crowded()));
    if (wants && !reading_ && !handling_) {
        reading_ = true;
        StartRead(&request_);
    }
}

// What is ready goes as one message where the host takes it: for gRPC, TLS and the kernel a message
// costs the same, whatever is in it.
pb::AttestReply Stream::next_reply() {
    pb::AttestReply reply = std::move(outbox_.front());
    outbox_.pop_front();
    if (!takes_receipts_ || !reply.has_receipt())
        return reply;
    pb::AttestReply batch;
    auto &receipts = *batch.mutable_receipts()->mutable_receipts();
    *receipts.Add() = std::move(*reply.mutable_receipt());
    std::string checkpoint = receipts[0].checkpoint();
    for (size_t bytes = receipts[0].ByteSizeLong();
         bytes < kReply && !outbox_.empty() && outbox_.front().has_receipt(); outbox_.pop_front()) {
        pb::Receipt &next = *receipts.Add();
        next = std::move(*outbox_.front().mutable_receipt());
        if (next.checkpoint() == checkpoint)
            next.clear_checkpoint();
        else
            checkpoint = next.checkpoint();
        bytes += next.ByteSizeLong();
    }
    return batch;
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
    services_.lines.info(name() + ": disconnected, " + std::to_string(receipted_) +
                         " attestations receipted");
    self_.reset(); // may be the last reference
}

} // namespace tally
