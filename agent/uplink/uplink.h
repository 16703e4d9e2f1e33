// The uplink: brings what is in the spool to the collector and its receipts back. One connection at
// a time, one step at a time, never waiting: the agent's loop calls it when its descriptor is ready
// or its timer is due. No failure here stops recording; what is not receipted stays in the spool.
//
//   disconnected -> connecting -> handshaking (TLS) -> greeting (Hello sent) -> streaming
//        ^__________________________ any failure, then back-off __________________________|
//
// Protocol: attest/ledger.proto. Back-off: backoff.h; after a refusal, an invalid receipt, a log
// that is not the one it was or a chain that is not ours the longest at once, for that needs a
// person. The same reason is logged once until it changes or all is well.
//
// All times are nanoseconds of one clock of the caller's choice that does not jump.
#pragma once

#include "agent/spool/spool.h"
#include "agent/uplink/backoff.h"
#include "agent/uplink/dial.h"
#include "agent/uplink/http2.h"
#include "agent/uplink/receipts.h"
#include "agent/uplink/tls.h"
#include "attest/statement.pb.h"
#include "base/log.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace tally {

struct UplinkConfig {
    std::string address;     // HOST:PORT or [IPv6]:PORT
    std::string server_name; // in the collector's certificate
    std::vector<NoteKey> log_keys;
    std::string checkpoint_path; // kept_checkpoint.h
    size_t in_flight = 512;      // attestations sent and not receipted
};

class Uplink {
public:
    static constexpr uint64_t kConnectTimeout = 20'000'000'000; // per address, up to Resume
    static constexpr uint64_t kReceiptTimeout = 30'000'000'000; // since sending or a receipt
    static constexpr uint64_t kNever = UINT64_MAX;

    enum class State { kDisconnected, kConnecting, kHandshaking, kGreeting, kStreaming };

    // Called for what the next statement should tell (KIND_REFUSED, KIND_RECEIPT_INVALID,
    // KIND_LOG_INCONSISTENT).
    using EventSink = std::function<void(pb::Event::Kind kind, const std::string &detail)>;

    // `spool` and `log` outlive the uplink. Connects when on_timer is first called.
    Uplink(UplinkConfig config, TlsContext tls, Spool &spool, const Log &log, EventSink on_event);

    // For epoll, level-triggered. Ask again after every call into the uplink: the descriptor may be
    // gone, or another socket under the same number, so EPOLL_CTL_MOD and on ENOENT EPOLL_CTL_ADD.
    int fd() const; // -1: none
    uint32_t wanted_events() const;
    uint64_t next_timer_ns() const; // when to call on_timer; kNever: not at all

    void on_ready(uint64_t now_ns); // the descriptor is ready, for whatever
    void on_timer(uint64_t now_ns);
    void notify(uint64_t now_ns); // the spool has a new record

    // The last statement is in the spool: send what is left, end the stream so that the collector
    // sees a clean end, do not reconnect. The caller waits for finished() as long as it likes.
    void finish(uint64_t now_ns);
    bool finished() const { return finishing_ && state_ == State::kDisconnected; }

    bool idle() const { return receipts_.all_receipted(); } // everything spooled is receipted
    State state() const { return state_; }

    struct Counters {
        uint64_t connects = 0; // streams that reached Resume
        uint64_t sent = 0;     // attestations, also those sent again
        uint64_t receipted = 0;
        uint64_t refused = 0;
        uint64_t invalid_receipts = 0;
        uint64_t inconsistent_logs = 0;
    };
    const Counters &counters() const { return counters_; }

private:
    enum class Pace { kUsual, kSlow };

    void connect();
    void connect_next(std::string why);
    void on_connected();
    void shake_hands();
    void greet();
    void receive();
    void take_replies();
    void on_resume(const pb::Resume &resume);
    bool dispute(uint64_t held, const std::string &reason);
    void on_receipt(const pb::Receipt &receipt);
    void on_receipts(pb::Receipts &batch);
    void on_fault(const Receipts::Fault &fault);
    void on_refusal(const pb::Refusal &refusal);
    void send(const pb::AttestRequest &request);
    void send_spooled();
    void pump();
    void on_call_end();
    void succeed();
    bool fail(const std::string &reason, Pace pace = Pace::kUsual);
    void disconnect();
    void await_collector();

    UplinkConfig config_;
    TlsContext tls_;
    Spool &spool_;
    const Log &log_;
    EventSink on_event_;
    Receipts receipts_;
    Counters counters_;

    State state_ = State::kDisconnected;
    bool finishing_ = false;
    uint64_t now_ns_ = 0;
    uint64_t timer_ns_ = 0; // disconnected: next try; else: when the peer counts as dead
    Backoff backoff_;
    bool connected_ = false;   // and said so
    std::string last_failure_; // and said so
    bool disputed_ = false;    // the log's history of this host

    // One connection.
    std::vector<Address> addresses_; // not tried yet
    Fd socket_;                      // while connecting
    std::optional<TlsConnection> connection_;
    std::unique_ptr<GrpcCall> call_;
    uint64_t sent_up_to_ = 0;
    Bytes output_; // being written; grows only when empty, as TLS demands the same bytes again
    size_t output_done_ = 0;
    bool write_blocked_ = false;
    bool hung_up_ = false;   // writing is over, reading not yet
    bool disputing_ = false; // receipts are of another history than ours
};

} // namespace tally
