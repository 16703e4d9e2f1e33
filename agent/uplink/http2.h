// One gRPC call on one HTTP/2 connection, as a transformer of bytes over nghttp2: it knows no
// socket, no TLS and no clock. What arrives goes into receive(); what must leave comes out of
// take_output(); nothing is sent or received inside nghttp2's callbacks.
// (RFC 9113; gRPC's framing: github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)
//
//   message := compressed flag u8 (0) | length u32 big-endian | bytes
//
// Flow control: nghttp2 returns credit as DATA is received. That bounds what the peer can make us
// hold, because the caller takes all messages out after each receive() and stops reading the socket
// when it cannot; a second, explicit accounting would gain nothing on a connection with one stream.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <deque>
#include <memory>
#include <nghttp2/nghttp2.h>
#include <optional>
#include <string>

namespace tally {

class GrpcCall {
public:
    // Of the peer's messages; a reply of the Ledger is a few KiB.
    static constexpr size_t kMaxMessage = 64 << 10;

    // `authority` HOST:PORT, `path` "/package.Service/Method".
    GrpcCall(const std::string &authority, const std::string &path);
    GrpcCall(const GrpcCall &) = delete;
    GrpcCall &operator=(const GrpcCall &) = delete;

    // Bytes from the peer, any number. After an error the connection is of no more use.
    Status receive(ByteView bytes);
    // The next whole message received, without its prefix.
    std::optional<Bytes> next_message();

    // Queues a message; it leaves as fast as the peer's flow control lets it.
    void send(ByteView message);
    // Bytes queued by send() that flow control has not let go yet.
    size_t unsent() const { return outgoing_.size() - outgoing_done_; }
    // No more messages from here: END_STREAM follows the last queued one.
    void half_close();
    bool half_closed() const { return half_closed_; }
    // Appends what is to be sent now, stopping once `out` has 16 KiB or more.
    Status take_output(Bytes &out);

    // The peer wants no new calls on this connection (GOAWAY), though ours may go on.
    bool going_away() const { return going_away_; }

    // How the call ended: gRPC status OK, or one line why not.
    struct End {
        bool ok = false;
        std::string reason;
    };
    const std::optional<End> &end() const { return end_; }

private:
    struct Callbacks; // nghttp2's, static functions over this object
    struct DeleteSession {
        void operator()(nghttp2_session *session) const { nghttp2_session_del(session); }
    };

    Status accept_data(ByteView bytes);
    void close(uint32_t error_code);
    void resume();
    void end_if_dead();

    std::unique_ptr<nghttp2_session, DeleteSession> session_;
    int32_t stream_ = 0;

    Bytes outgoing_; // framed messages; those before outgoing_done_ are gone
    size_t outgoing_done_ = 0;
    bool half_closed_ = false;

    Bytes incoming_; // a message that is not whole yet
    std::deque<Bytes> messages_;

    // From the response's headers and trailers.
    std::string http_status_;
    std::string content_type_;
    std::string grpc_status_;
    std::string grpc_message_;

    bool going_away_ = false;
    std::string complaint_; // why the connection failed, if it did
    std::optional<End> end_;
};

// Undoes the percent-encoding of grpc-message; what is no valid escape stays as it is.
std::string percent_decode(std::string_view encoded);

} // namespace tally
