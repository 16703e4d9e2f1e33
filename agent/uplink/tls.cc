#include "agent/uplink/tls.h"

#include "agent/uplink/tls_state.h"

#include <cerrno>
#include <cstring>
#include <mbedtls/net_sockets.h>
#include <optional>
#include <sys/socket.h>

namespace tally {

struct TlsConnection::State {
    State() { mbedtls_ssl_init(&ssl); }
    ~State() { mbedtls_ssl_free(&ssl); }
    State(const State &) = delete;
    State &operator=(const State &) = delete;

    // Our own instead of mbedtls_net_*: errno is kept for the message, and SIGPIPE never raised.
    static int send_some(void *state, const unsigned char *bytes, size_t size);
    static int receive_some(void *state, unsigned char *bytes, size_t size);

    mbedtls_ssl_context ssl;
    Fd socket;
    std::string server_name;
    bool wants_write = false;
    int error = 0; // errno of the send or recv that failed
};

int TlsConnection::State::send_some(void *state, const unsigned char *bytes, size_t size) {
    auto *self = static_cast<State *>(state);
    ssize_t sent = 0;
    do
        sent = send(self->socket.get(), bytes, size, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return static_cast<int>(sent);
    if (errno == EAGAIN)
        return MBEDTLS_ERR_SSL_WANT_WRITE;
    self->error = errno;
    return MBEDTLS_ERR_NET_SEND_FAILED;
}

int TlsConnection::State::receive_some(void *state, unsigned char *bytes, size_t size) {
    auto *self = static_cast<State *>(state);
    ssize_t got = 0;
    do
        got = recv(self->socket.get(), bytes, size, 0);
    while (got < 0 && errno == EINTR);
    if (got >= 0)
        return static_cast<int>(got);
    if (errno == EAGAIN)
        return MBEDTLS_ERR_SSL_WANT_READ;
    self->error = errno;
    return MBEDTLS_ERR_NET_RECV_FAILED;
}

namespace {

// RFC 5246 section 7.2, RFC 7301: what a collector tells a host that it does not let in.
const char *alert_name(uint8_t alert) {
    switch (alert) {
    case MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE:
        return "handshake failure";
    case MBEDTLS_SSL_ALERT_MSG_BAD_CERT:
        return "bad certificate";
    case MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT:
        return "unsupported certificate";
    case MBEDTLS_SSL_ALERT_MSG_CERT_REVOKED:
        return "certificate revoked";
    case MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED:
        return "certificate expired";
    case MBEDTLS_SSL_ALERT_MSG_CERT_UNKNOWN:
        return "certificate unknown";
    case MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA:
        return "unknown certificate authority";
    case MBEDTLS_SSL_ALERT_MSG_ACCESS_DENIED:
        return "access denied";
    case MBEDTLS_SSL_ALERT_MSG_DECRYPT_ERROR:
        return "decrypt error";
    case MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION:
        return "protocol version";
    case MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR:
        return "internal error";
    case MBEDTLS_SSL_ALERT_MSG_UNRECOGNIZED_NAME:
        return "unrecognized name";
    case MBEDTLS_SSL_ALERT_MSG_NO_APPLICATION_PROTOCOL:
        return "no application protocol";
    default:
        return "alert";
    }
}

Error alert_error(const std::string &doing, uint8_t alert) {
    return Error{doing + ": it sent the TLS alert \"" + alert_name(alert) + "\" (" +
                 std::to_string(alert) + ")"};
}

// An alert that waits unread on the socket, in the clear as it is before the peer's Finished
// (RFC 5246 sections 6.2.1 and 7.2): type 21, version, length 2, level, description.
std::optional<uint8_t> pending_alert(int fd) {
    uint8_t record[7] = {};
    bool whole = recv(fd, record, sizeof(record), MSG_DONTWAIT) == sizeof(record);
    return whole && record[0] == MBEDTLS_SSL_MSG_ALERT && get_be16(record + 3) == 2
               ? std::optional(record[6])
               : std::nullopt;
}

// "The certificate validity has expired\nThe ..." in one line.
std::string verify_text(uint32_t flags) {
    char text[512] = {};
    mbedtls_x509_crt_verify_info(text, sizeof(text), "", flags);
    std::string line = text;
    while (!line.empty() && line.back() == '\n')
        line.pop_back();
    for (size_t at = line.find('\n'); at != std::string::npos; at = line.find('\n', at))
        line.replace(at, 1, "; ");
    return line;
}

bool would_block(int code) {
    return code == MBEDTLS_ERR_SSL_WANT_READ || code == MBEDTLS_ERR_SSL_WANT_WRITE;
}

} // namespace

Result<TlsConnection> TlsConnection::start(const TlsContext &context, Fd socket,
                                           const std::string &server_name) {
    auto state = std::make_unique<State>();
    state->socket = std::move(socket);
    state->server_name = server_name;
    int code = mbedtls_ssl_setup(&state->ssl, &context.state_->config);
    if (code == 0)
        code = mbedtls_ssl_set_hostname(&state->ssl, server_name.c_str());
    if (code != 0)
        return Error{"TLS for \"" + server_name + "\" cannot be set up: " + mbedtls_reason(code)};
    mbedtls_ssl_set_bio(&state->ssl, state.get(), State::send_some, State::receive_some, nullptr);
    return TlsConnection(std::move(state));
}

Error TlsConnection::failure(const std::string &doing, int code) const {
    const mbedtls_ssl_context &ssl = state_->ssl;
    if (code == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED)
        return Error{"its certificate is refused, expected one for " + state_->server_name + ": " +
                     verify_text(mbedtls_ssl_get_verify_result(&ssl))};
    // 2.28 has no accessor for the alert's number: level and description lie in the message.
    if (code == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
        return alert_error(doing, ssl.in_msg[1]);
    if (hung_up(code))
        return Error{doing + ": it closed the connection"};
    if (state_->error != 0)
        return Error{doing + ": " + strerror(state_->error)};
    return Error{doing + ": " + mbedtls_reason(code)};
}

// Whether the peer is gone, with or without the notice that TLS demands: which of these one sees is
// chance.
bool TlsConnection::hung_up(int code) const {
    return code == MBEDTLS_ERR_SSL_CONN_EOF || code == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY ||
           (code < 0 && (state_->error == EPIPE || state_->error == ECONNRESET));
}

Result<TlsConnection::Outcome> TlsConnection::handshake() {
    int code = mbedtls_ssl_handshake(&state_->ssl);
    state_->wants_write = code == MBEDTLS_ERR_SSL_WANT_WRITE;
    if (would_block(code))
        return Outcome::kWouldBlock;
    // A peer that does not let us in says so and closes while we still write: its word waits behind
    // the broken pipe.
    if (code == MBEDTLS_ERR_NET_SEND_FAILED)
        if (auto alert = pending_alert(state_->socket.get()))
            return alert_error("TLS handshake", *alert);
    // grpc++ says nothing when it does not like a certificate, it only hangs up.
    if (hung_up(code) && state_->ssl.state > MBEDTLS_SSL_CLIENT_CERTIFICATE)
        return Error{"TLS handshake: it hung up on seeing this host's certificate: is that of its "
                     "fleet, and still valid?"};
    if (code != 0)
        return failure("TLS handshake", code);
    const char *protocol = mbedtls_ssl_get_alpn_protocol(&state_->ssl);
    if (protocol == nullptr || strcmp(protocol, "h2") != 0)
        return Error{"TLS handshake: it does not offer HTTP/2 (ALPN \"h2\")"};
    return Outcome::kDone;
}

Result<TlsConnection::Transfer> TlsConnection::read(std::span<uint8_t> into) {
    int got = mbedtls_ssl_read(&state_->ssl, into.data(), into.size());
    if (would_block(got))
        return Transfer{Outcome::kWouldBlock};
    if (got == 0 || hung_up(got))
        return Transfer{Outcome::kClosed};
    if (got < 0)
        return failure("read", got);
    return Transfer{Outcome::kDone, static_cast<size_t>(got)};
}

Result<TlsConnection::Transfer> TlsConnection::write(ByteView bytes) {
    int put = mbedtls_ssl_write(&state_->ssl, bytes.data(), bytes.size());
    state_->wants_write = put == MBEDTLS_ERR_SSL_WANT_WRITE;
    if (would_block(put))
        return Transfer{Outcome::kWouldBlock};
    if (hung_up(put))
        return Transfer{Outcome::kClosed};
    if (put < 0)
        return failure("write", put);
    return Transfer{Outcome::kDone, static_cast<size_t>(put)};
}

void TlsConnection::close_notify() {
    (void)mbedtls_ssl_close_notify(&state_->ssl);
}

int TlsConnection::fd() const {
    return state_->socket.get();
}

bool TlsConnection::wants_write() const {
    return state_->wants_write;
}

TlsConnection::TlsConnection(std::unique_ptr<State> state) : state_(std::move(state)) {
}
TlsConnection::TlsConnection(TlsConnection &&) noexcept = default;
TlsConnection &TlsConnection::operator=(TlsConnection &&) noexcept = default;
TlsConnection::~TlsConnection() = default;

} // namespace tally
