#include "tests/unit/agent/hostile_peer.h"

#include "agent/uplink/tls_state.h"

#include <gtest/gtest.h>
#include <mbedtls/net_sockets.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace tally {

PlainServer::PlainServer(std::function<void(int)> serve) : serve_(std::move(serve)) {
    listener_.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto *generic = reinterpret_cast<sockaddr *>(&address);
    EXPECT_EQ(bind(listener_.get(), generic, size), 0);
    EXPECT_EQ(listen(listener_.get(), 8), 0);
    EXPECT_EQ(getsockname(listener_.get(), generic, &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { accept_all(); });
}

PlainServer::~PlainServer() {
    shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
}

void PlainServer::accept_all() {
    for (;;) {
        Fd peer(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!peer)
            return;
        timeval patience = {2, 0};
        setsockopt(peer.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        serve_(peer.get());
    }
}

std::function<void(int)> tls_then(const PemIdentity &identity, const char *protocol,
                                  std::string bytes, const PemIdentity &client_ca) {
    return [identity, protocol, bytes = std::move(bytes), client_ca](int fd) {
        TlsContext::State own; // certificate, key and random numbers, as the client keeps them
        auto pem = [](const std::string &text) {
            return reinterpret_cast<const unsigned char *>(text.c_str());
        };
        mbedtls_x509_crt_parse(&own.certificate, pem(identity.certificate),
                               identity.certificate.size() + 1);
        mbedtls_pk_parse_key(&own.key, pem(identity.key), identity.key.size() + 1, nullptr, 0);
        mbedtls_ctr_drbg_seed(&own.random, mbedtls_entropy_func, &own.entropy, nullptr, 0);
        mbedtls_ssl_config_defaults(&own.config, MBEDTLS_SSL_IS_SERVER,
                                    MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
        mbedtls_ssl_conf_rng(&own.config, mbedtls_ctr_drbg_random, &own.random);
        mbedtls_ssl_conf_own_cert(&own.config, &own.certificate, &own.key);
        if (!client_ca.certificate.empty()) {
            mbedtls_x509_crt_parse(&own.ca, pem(client_ca.certificate),
                                   client_ca.certificate.size() + 1);
            mbedtls_ssl_conf_ca_chain(&own.config, &own.ca, nullptr);
            mbedtls_ssl_conf_authmode(&own.config, MBEDTLS_SSL_VERIFY_REQUIRED);
        }
        const char *protocols[] = {protocol, nullptr};
        if (protocol != nullptr)
            mbedtls_ssl_conf_alpn_protocols(&own.config, protocols);

        mbedtls_net_context net = {fd};
        mbedtls_ssl_context ssl;
        mbedtls_ssl_init(&ssl);
        mbedtls_ssl_setup(&ssl, &own.config);
        mbedtls_ssl_set_bio(&ssl, &net, mbedtls_net_send, mbedtls_net_recv, nullptr);
        if (mbedtls_ssl_handshake(&ssl) == 0) {
            mbedtls_ssl_write(&ssl, reinterpret_cast<const unsigned char *>(bytes.data()),
                              bytes.size());
            // Until the client has gone: closing over unread bytes would reset, and lose ours.
            shutdown(fd, SHUT_WR);
            unsigned char ignored[4096];
            while (mbedtls_ssl_read(&ssl, ignored, sizeof(ignored)) > 0)
                ;
        }
        mbedtls_ssl_free(&ssl);
    };
}

} // namespace tally
