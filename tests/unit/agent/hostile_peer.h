// Servers that are no collector: bare TCP or bare TLS, with a script of the test's own.
#pragma once

#include "base/fd.h"
#include "tests/unit/agent/pki.h"

#include <functional>
#include <memory>
#include <string>
#include <thread>

namespace tally {

// Accepts connections one after the other on a loopback port and hands each to `serve`.
class PlainServer {
public:
    explicit PlainServer(std::function<void(int fd)> serve);
    ~PlainServer();
    std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

private:
    void accept_all();

    std::function<void(int)> serve_;
    Fd listener_;
    int port_ = 0;
    std::thread thread_;
};

// What a TLS server would do with a connection after the handshake: write these bytes, then close.
// `protocol` is its ALPN, null for none. Demands a client certificate only with a `client_ca`.
std::function<void(int fd)> tls_then(const PemIdentity &identity, const char *protocol,
                                     std::string bytes, const PemIdentity &client_ca = {});

} // namespace tally
