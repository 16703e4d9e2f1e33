// One host's stream of attestations (attest/ledger.proto says who speaks when).
//
//   gRPC's threads   read into the inbox, write what is in the outbox
//   Turns            verifies the inbox, a few attestations a turn, and hands them to the sequencer
//   sequencer        logs it; its verdict goes to the outbox
//
//   greeting   waits for Hello
//   resuming   Resume and the receipts the host asked for are on their way; nothing is read
//   open       reads attestations while at most kWindow of them are without a written receipt: that
//              is the back-pressure, HTTP/2 flow control does the rest
//   ending     a Refusal, the host's half-close or a stop; what was read is still answered
//
// A Refusal ends the stream with gRPC status OK: it is the answer, not a failure of the transport.
// A stop, a newer stream of the host or a log that cannot be written end it UNAVAILABLE: try again.
#pragma once

#include "attest/ledger.grpc.pb.h"
#include "collector/backlog.h"
#include "collector/sequencer.h"
#include "collector/turns.h"

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace tally {

// Messages are taken raw, so that one that is no protobuf can be refused: gRPC itself would make it
// look like a half-close.
class Stream : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
               public Lane,
               public std::enable_shared_from_this<Stream> {
public:
    struct Peer {
        std::string host;    // the one DNS name of its TLS certificate; empty: it has not one
        std::string address; // as gRPC writes it
    };
    // What all streams of a collector share; outlives them.
    struct Services {
        const FleetRoot &root;
        Sequencer &sequencer;
        Turns &turns;
        Backlog &backlog;
        const Log &lines;
    };
    Stream(uint64_t number, Peer peer, const Services &services);

    // Starts reading. The stream keeps itself alive until gRPC is done with it.
    void start();
    // Answers what was read, then ends the stream; the host may connect again.
    void stop(const std::string &reason);

    bool take_turn() override; // verifies a few attestations

    void OnReadDone(bool good) override;
    void OnWriteDone(bool good) override;
    void OnCancel() override;
    void OnDone() override;

private:
    enum class Phase { kGreeting, kResuming, kOpen, kEnding };
    // Attestations verified in one turn: what is this host's is then at hand for all of them.
    static constexpr size_t kTurn = 16;
    static constexpr size_t kWindow = 512;
    static constexpr size_t kPage = 256;        // receipts looked up at once when a host resumes
    static constexpr size_t kReply = 32U << 10; // no more receipts in a message that has so much

    void on_hello(const pb::Hello &hello);
    void on_joined(Sequencer::Joined joined, uint64_t first_unreceipted);
    void on_page(Sequencer::Receipts page);
    void ask_page(); // when there is one to ask for and the one before is written
    void on_attestation(std::string bytes);
    void verify(const std::string &bytes);
    void on_verdict(Sequencer::Verdict verdict, uint64_t sequence, bool more);
    void refuse_message(const Breach &breach);
    void refuse_attestation(const Breach &breach, uint64_t sequence);
    void set_refusal(const Breach &breach, uint64_t sequence); // with mutex_ held, like the next
    void clear_inbox();
    size_t unanswered() const;
    void log_refusal(const pb::Refusal &refusal) const;
    void end(grpc::Status status);
    void advance_io(); // with mutex_ held: starts what can be started
    pb::AttestReply next_reply();
    std::string name() const;

    const uint64_t number_;
    const Peer peer_;
    const Services services_;
    std::shared_ptr<Stream> self_;

    grpc::ByteBuffer request_; // only between a read's end and the next read's start
    // Of the last attestation of this chain that verified. Set while resuming, then a turn's alone.
    Bytes signing_key_;

    std::mutex mutex_; // guards all below
    Phase phase_ = Phase::kGreeting;
    bool reading_ = false;
    bool handling_ = false; // what was read is being looked at
    bool working_ = false;  // a turn is taken or waited for
    bool writing_ = false;
    bool broken_ = false;         // cancelled, or a write failed: nothing more can be sent
    bool finished_ = false;       // Finish was called
    bool asked_ = false;          // for a page of old receipts
    bool takes_receipts_ = false; // several in one message
    uint64_t next_old_ = 0;       // the old receipts still to be asked for
    uint64_t last_old_ = 0;
    std::deque<std::string> inbox_; // attestations, as they came
    std::deque<size_t> in_flight_;  // the bytes of those the sequencer has
    uint64_t receipted_ = 0;
    std::optional<pb::Refusal> refusal_; // to be sent once all before it is answered
    bool verdict_ended_ = false;         // the sequencer said no: nothing after it counts
    grpc::Status status_;
    std::deque<pb::AttestReply> outbox_;
    grpc::ByteBuffer reply_; // being written
};

} // namespace tally
