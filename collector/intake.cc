#include "collector/intake.h"

#include <chrono>
#include <grpcpp/security/auth_context.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <thread>

namespace tally {

namespace {

constexpr int kKeepaliveMs = 60'000; // a host that vanished is noticed after this and the timeout
constexpr int kKeepaliveTimeoutMs = 20'000;
constexpr const char *kStopping = "the collector is stopping";
constexpr auto kStopLimit = std::chrono::seconds(5);

Stream::Peer peer_of(const grpc::CallbackServerContext &context) {
    Stream::Peer peer{"", context.peer()};
    auto names = context.auth_context()->FindPropertyValues(GRPC_PEER_DNS_PROPERTY_NAME);
    if (names.size() == 1)
        peer.host = std::string(names[0].data(), names[0].size());
    return peer;
}

} // namespace

Intake::~Intake() {
    stop();
}

Status Intake::listen(const std::string &address, const Keys &keys) {
    grpc::SslServerCredentialsOptions tls(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    tls.pem_root_certs = keys.tls_ca;
    tls.pem_key_cert_pairs.push_back({keys.tls_key, keys.tls_certificate});

    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::SslServerCredentials(tls), &port_);
    builder.RegisterService(this);
    builder.SetMaxReceiveMessageSize(kMaxMessage);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 16);
    // What a host may have sent and we not read: HTTP/2's first window, and it does not grow.
    builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 64 << 10);
    server_ = builder.BuildAndStart();
    if (!server_ || port_ == 0)
        return Error{"cannot listen on " + address +
                     ": is the address this machine's, and is no other program listening there?"};
    return ok();
}

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> *
Intake::Attest(grpc::CallbackServerContext *context) {
    std::lock_guard lock(mutex_);
    Stream::Peer peer = peer_of(*context);
    std::erase_if(streams_, [](const auto &each) { return each.second.expired(); });
    auto &current = streams_[peer.host.empty() ? peer.address : peer.host];
    auto stream = std::make_shared<Stream>(++last_stream_, std::move(peer), services_);
    if (auto older = std::exchange(current, stream).lock())
        older->stop("a newer stream of this host took over");
    stream->start();
    if (stopping_)
        stream->stop(kStopping);
    return stream.get(); // it holds itself until OnDone
}

void Intake::stop() {
    if (!server_)
        return;
    std::map<std::string, std::weak_ptr<Stream>> streams;
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
        streams.swap(streams_);
    }
    for (const auto &[name, each] : streams) {
        if (auto stream = each.lock())
            stream->stop(kStopping);
    }
    // Not Shutdown's own deadline: gRPC would wait for every host to close its connection too.
    auto limit = std::chrono::steady_clock::now() + kStopLimit;
    for (const auto &[name, each] : streams) {
        while (!each.expired() && std::chrono::steady_clock::now() < limit)
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
    server_.reset();
}

} // namespace tally
