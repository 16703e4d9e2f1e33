#include "agent/uplink/uplink.h"

#include "attest/ledger.pb.h"

#include <algorithm>
#include <array>
#include <sys/epoll.h>

namespace tally {

namespace {

constexpr const char *kPath = "/tallystick.v1.Ledger/Attest";
constexpr size_t kRecord = 16 << 10;    // the largest TLS record
constexpr int kReadsPerTurn = 8;        // then the loop's other work has its turn
constexpr size_t kUnsentAim = 16 << 10; // read from the spool only what can leave soon

} // namespace

Uplink::Uplink(UplinkConfig config, TlsContext tls, Spool &spool, const Log &log,
               EventSink on_event)
    : config_(std::move(config)), tls_(std::move(tls)), spool_(spool), log_(log),
      on_event_(std::move(on_event)),
      receipts_(spool, config_.log_keys,
                KeptCheckpoint(config_.checkpoint_path,
                               config_.log_keys.empty() ? "" : config_.log_keys[0].name, log)) {
}

// ---- What the loop asks and tells ----

int Uplink::fd() const {
    return connection_ ? connection_->fd() : socket_.get();
}

uint32_t Uplink::wanted_events() const {
    switch (state_) {
    case State::kDisconnected:
        return 0;
    case State::kConnecting:
        return EPOLLOUT;
    case State::kHandshaking:
        return connection_->wants_write() ? EPOLLOUT : EPOLLIN;
    default:
        return write_blocked_ ? EPOLLIN | EPOLLOUT : EPOLLIN;
    }
}

uint64_t Uplink::next_timer_ns() const {
    return finished() ? kNever : timer_ns_;
}

void Uplink::on_ready(uint64_t now_ns) {
    now_ns_ = now_ns;
    switch (state_) {
    case State::kDisconnected:
        return;
    case State::kConnecting:
        return on_connected();
    case State::kHandshaking:
        return shake_hands();
    default:
        receive();
        pump();
    }
}

void Uplink::on_timer(uint64_t now_ns) {
    now_ns_ = now_ns;
    if (now_ns < timer_ns_ || finished())
        return;
    switch (state_) {
    case State::kDisconnected:
        return connect();
    case State::kConnecting:
        return connect_next("connecting timed out");
    case State::kHandshaking:
        fail(": TLS handshake timed out");
        return;
    case State::kGreeting:
        fail(": no answer to Hello");
        return;
    case State::kStreaming:
        fail(": silent for 30 seconds, taken for dead");
        return;
    }
}

void Uplink::notify(uint64_t now_ns) {
    now_ns_ = now_ns;
    pump();
}

void Uplink::finish(uint64_t now_ns) {
    now_ns_ = now_ns;
    finishing_ = true;
    if (state_ != State::kStreaming)
        return disconnect();
    pump();
}

// ---- Getting there ----

void Uplink::connect() {
    auto addresses = resolve(config_.address);
    if (!addresses) {
        fail(" cannot be resolved: " + addresses.error().message);
        return;
    }
    addresses_ = std::move(*addresses);
    std::reverse(addresses_.begin(), addresses_.end());
    connect_next("no address");
}

void Uplink::connect_next(std::string why) {
    while (!addresses_.empty()) {
        Address address = addresses_.back();
        addresses_.pop_back();
        auto socket = start_connect(address);
        if (socket) {
            socket_ = std::move(*socket);
            state_ = State::kConnecting;
            timer_ns_ = now_ns_ + kConnectTimeout;
            return;
        }
        why = socket.error().message;
    }
    fail(" unreachable: " + why);
}

void Uplink::on_connected() {
    auto outcome = connect_outcome(socket_.get());
    if (!outcome)
        return connect_next(outcome.error().message);
    auto connection = TlsConnection::start(tls_, std::move(socket_), config_.server_name);
    if (!connection) {
        fail(": " + connection.error().message);
        return;
    }
    connection_ = std::move(*connection);
    state_ = State::kHandshaking;
    shake_hands();
}

void Uplink::shake_hands() {
    auto shaken = connection_->handshake();
    if (!shaken)
        fail(": " + shaken.error().message);
    else if (*shaken == TlsConnection::Outcome::kDone)
        greet();
}

void Uplink::greet() {
    std::string port = config_.address.substr(config_.address.rfind(':'));
    call_ = std::make_unique<GrpcCall>(config_.server_name + port, kPath);
    pb::AttestRequest request;
    request.mutable_hello()->set_first_unreceipted(receipts_.first_unreceipted());
    request.mutable_hello()->set_checkpoint_size(receipts_.checkpoint_size());
    request.mutable_hello()->set_takes_receipts(true);
    send(request);
    state_ = State::kGreeting;
    pump();
}

// ---- What the collector says ----

void Uplink::receive() {
    std::array<uint8_t, kRecord> buffer;
    for (int turn = 0; turn < kReadsPerTurn && call_ != nullptr; turn++) {
        auto got = connection_->read(buffer);
        if (!got) {
            fail(": " + got.error().message);
            return;
        }
        if (got->outcome == TlsConnection::Outcome::kWouldBlock)
            return;
        if (got->outcome == TlsConnection::Outcome::kClosed) {
            fail(": it closed the connection");
            return;
        }
        auto received = call_->receive(std::span(buffer).first(got->bytes));
        take_replies();
        if (call_ != nullptr && !received)
            fail(": " + received.error().message);
        else if (call_ != nullptr && call_->end())
            on_call_end();
        pump(); // also finds out whether these bytes were the connection's last
    }
}

void Uplink::on_call_end() {
    if (finishing_ && call_->end()->ok) {
        connection_->close_notify();
        return disconnect();
    }
    fail(": " + call_->end()->reason);
}

// ---- What we say ----

void Uplink::send(const pb::AttestRequest &request) {
    Bytes bytes(request.ByteSizeLong());
    request.SerializeToArray(bytes.data(), static_cast<int>(bytes.size()));
    call_->send(bytes);
}

void Uplink::send_spooled() {
    bool all_sent = spool_.next_after(sent_up_to_) == 0;
    if (call_->going_away() || (finishing_ && all_sent)) {
        call_->half_close();
        return await_collector();
    }
    while (receipts_.in_flight() < config_.in_flight && call_->unsent() < kUnsentAim) {
        uint64_t next = spool_.next_after(sent_up_to_);
        if (next == 0)
            return;
        auto attestation = spool_.read(next);
        if (!attestation) {
            fail(": " + attestation.error().message, Pace::kSlow);
            return;
        }
        if (!receipts_.awaits())
            timer_ns_ = now_ns_ + kReceiptTimeout;
        receipts_.sent(next, *attestation);
        pb::AttestRequest request;
        request.set_attestation(attestation->data(), attestation->size());
        send(request);
        sent_up_to_ = next;
        counters_.sent++;
    }
}

// Spool to call to TLS, until one of them has enough.
void Uplink::pump() {
    while (call_ != nullptr && !hung_up_) {
        if (state_ == State::kStreaming && !call_->half_closed())
            send_spooled();
        if (call_ == nullptr)
            return;
        if (output_.empty())
            if (auto taken = call_->take_output(output_); !taken) {
                fail(": " + taken.error().message);
                return;
            }
        if (call_->end())
            return on_call_end();
        write_blocked_ = false;
        if (output_.empty())
            return;
        auto written = connection_->write(ByteView(output_).subspan(output_done_));
        if (!written) {
            fail(": " + written.error().message);
            return;
        }
        // What it said last, a refusal perhaps, is still to be read; then read() ends the
        // connection.
        if (written->outcome == TlsConnection::Outcome::kClosed) {
            hung_up_ = true;
            return;
        }
        if (written->outcome == TlsConnection::Outcome::kWouldBlock) {
            write_blocked_ = true;
            return;
        }
        output_done_ += written->bytes;
        if (output_done_ == output_.size()) {
            output_.clear();
            output_done_ = 0;
        }
    }
}

// ---- How it went ----

// Sets the time by which to hear from the collector again, if it owes anything.
void Uplink::await_collector() {
    bool owes = receipts_.awaits() || call_->half_closed();
    timer_ns_ = owes ? now_ns_ + kReceiptTimeout : kNever;
}

void Uplink::succeed() {
    backoff_.reset();
    last_failure_.clear();
    if (!connected_)
        log_.notice("collector " + config_.address + " connected; it held sequence " +
                    std::to_string(receipts_.held()) + " of this host");
    connected_ = true;
}

// Whether the reason is news. `reason` goes on from "collector ADDRESS".
bool Uplink::fail(const std::string &reason, Pace pace) {
    disconnect();
    bool news = reason != last_failure_;
    if (news)
        log_.warning("collector " + config_.address + reason +
                     (finishing_ ? "" : "; recording goes on, retrying"));
    last_failure_ = reason;
    connected_ = false;

    timer_ns_ = now_ns_ + (pace == Pace::kSlow ? backoff_.longest() : backoff_.next());
    return news;
}

void Uplink::disconnect() {
    state_ = State::kDisconnected;
    timer_ns_ = kNever;
    addresses_.clear();
    call_.reset();
    connection_.reset();
    socket_.reset();
    output_.clear();
    output_done_ = 0;
    write_blocked_ = false;
    hung_up_ = false;
    disputing_ = false;
}

} // namespace tally
