// From "host:port" to a connecting socket, without ever waiting for the peer.
#pragma once

#include "base/fd.h"
#include "base/result.h"

#include <string>
#include <sys/socket.h>
#include <vector>

namespace tally {

struct Address {
    sockaddr_storage storage = {};
    socklen_t length = 0;
};

// The addresses of HOST:PORT, or of [IPv6]:PORT. A numeric host is answered at once; for a name
// getaddrinfo(3) blocks this thread for as long as the resolver takes. That is accepted: counting
// goes on in the kernel meanwhile, a late window is a longer window, and the way round would be a
// second thread or a resolver of our own.
Result<std::vector<Address>> resolve(const std::string &host_port);

// A non-blocking TCP socket on its way to `address`; writable once it is known how that went.
Result<Fd> start_connect(const Address &address);

// How it went (SO_ERROR).
Status connect_outcome(int fd);

} // namespace tally
