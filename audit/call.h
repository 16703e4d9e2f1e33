// One gRPC call (grpc/grpc, doc/PROTOCOL-HTTP2.md) with libcurl: HTTP/2 over mutual TLS, a POST of
// one message behind its five-byte prefix, and the status in the trailers.
#pragma once

#include "base/result.h"

#include <string>

namespace tally {

struct CallOptions {
    std::string address;     // HOST:PORT; the host is in the server's certificate
    std::string certificate; // PEM files
    std::string key;
    std::string root; // the server's authority
};

// Sends a serialised message to "/package.Service/Method" and returns the one that answers. An
// error if nothing is there, TLS fails, or the call ends with another status than OK.
Result<std::string> call_collector(const CallOptions &options, const std::string &method,
                                   const std::string &message);

} // namespace tally
