#include "agent/uplink/dial.h"

#include <cerrno>
#include <cstring>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

namespace tally {

Result<std::vector<Address>> resolve(const std::string &host_port) {
    size_t colon = host_port.rfind(':');
    if (colon == std::string::npos)
        return Error{"no port in \"" + host_port + "\""};
    std::string host = host_port.substr(0, colon);
    std::string port = host_port.substr(colon + 1);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);

    addrinfo hints = {};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    addrinfo *found = nullptr;
    int failure = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
    if (failure == EAI_NONAME) {
        hints.ai_flags = AI_NUMERICSERV;
        failure = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
    }
    if (failure != 0)
        return Error{failure == EAI_SYSTEM ? strerror(errno) : gai_strerror(failure)};

    std::vector<Address> addresses;
    for (const addrinfo *info = found; info != nullptr; info = info->ai_next) {
        Address address;
        memcpy(&address.storage, info->ai_addr, info->ai_addrlen);
        address.length = info->ai_addrlen;
        addresses.push_back(address);
    }
    freeaddrinfo(found);
    return addresses;
}

Result<Fd> start_connect(const Address &address) {
    Fd fd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd)
        return Error{strerror(errno)};
    int on = 1; // messages are gathered before they are written; waiting for more only delays
    if (setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
        return Error{strerror(errno)};
    const auto *peer = reinterpret_cast<const sockaddr *>(&address.storage);
    if (connect(fd.get(), peer, address.length) != 0 && errno != EINPROGRESS)
        return Error{strerror(errno)};
    return fd;
}

Status connect_outcome(int fd) {
    int failure = 0;
    socklen_t size = sizeof(failure);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
        failure = errno;
    return failure == 0 ? ok() : Error{strerror(failure)};
}

} // namespace tally
