// Mutual TLS to the collector over mbedTLS 2.28: TLS 1.2 with forward secrecy and an AEAD (all that
// RFC 9113 section 9.2.2 lets HTTP/2 use), ALPN "h2" or nothing, both ends checked against the
// fleet's CA, the collector's name always (a dNSName SAN; mbedTLS 2.28 matches no IP SANs).
#pragma once

#include "base/bytes.h"
#include "base/fd.h"
#include "base/result.h"

#include <memory>
#include <span>
#include <string>

namespace tally {

struct TlsFiles { // PEM
    std::string ca;
    std::string certificate;
    std::string key;
};

// Certificates, key and random numbers: loaded once, shared by all connections, and outlives them.
class TlsContext {
public:
    // An error names the file and what is wrong with it: missing, unreadable, expired, or a key
    // that is another certificate's.
    static Result<TlsContext> load(const TlsFiles &files);

    TlsContext(TlsContext &&) noexcept;
    TlsContext &operator=(TlsContext &&) noexcept;
    ~TlsContext();

    struct State; // tls_state.h

private:
    friend class TlsConnection;
    explicit TlsContext(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

// One connection on a connected, non-blocking socket, which it owns. After an error there is
// nothing left to do with it but to destroy it. After write() said kClosed, read() may still have
// what the peer said before it hung up.
class TlsConnection {
public:
    // `server_name` goes out as SNI and must be in the peer's certificate.
    static Result<TlsConnection> start(const TlsContext &context, Fd socket,
                                       const std::string &server_name);

    enum class Outcome { kDone, kWouldBlock, kClosed };
    struct Transfer {
        Outcome outcome = Outcome::kDone;
        size_t bytes = 0; // with kDone, at least 1
    };

    Result<Outcome> handshake();
    // At most one TLS record. With room for 16 KiB nothing stays behind in TLS that epoll cannot
    // see.
    Result<Transfer> read(std::span<uint8_t> into);
    // After kWouldBlock, the same bytes must be offered again.
    Result<Transfer> write(ByteView bytes);
    // Tells the peer that no more follows; if it cannot be told at once, the close will.
    void close_notify();

    int fd() const;
    bool wants_write() const; // what the last kWouldBlock waits for: write, else read

    TlsConnection(TlsConnection &&) noexcept;
    TlsConnection &operator=(TlsConnection &&) noexcept;
    ~TlsConnection();

private:
    struct State;
    explicit TlsConnection(std::unique_ptr<State> state);
    bool hung_up(int code) const;
    Error failure(const std::string &doing, int code) const;
    std::unique_ptr<State> state_;
};

} // namespace tally
