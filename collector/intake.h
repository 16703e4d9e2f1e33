// The gRPC service that hosts stream to: mutual TLS (1.2 at least, ALPN h2), one Stream per host: a
// newer one ends the one before, so that a host has one share of the collector however often it
// calls. Explanations of findings come by the same door (explaining.h).
//
// Who speaks is decided by the TLS certificate: it must chain to the configured CA and name exactly
// one DNS host. An attestation above 65,535 bytes is refused with CODE_MALFORMED; a message above
// kMaxMessage never gets that far, gRPC ends the stream with RESOURCE_EXHAUSTED.
#pragma once

#include "collector/config.h"
#include "collector/explaining.h"
#include "collector/stream.h"

#include <grpcpp/server.h>
#include <map>

namespace tally {

class Intake : public pb::Ledger::WithRawCallbackMethod_Attest<
                   pb::Ledger::WithCallbackMethod_Explain<pb::Ledger::Service>> {
public:
    static constexpr int kMaxMessage = 256 * 1024;

    Intake(const FleetRoot &root, Sequencer &sequencer, const Log &lines)
        : services_{root, sequencer, turns_, backlog_, lines},
          explaining_(std::make_shared<Explaining>(root, sequencer, turns_, lines)) {}
    ~Intake() override; // stop()

    Status listen(const std::string &address, const Keys &keys);
    int port() const { return port_; } // the one that was bound

    // Ends all streams once what they have read is answered, and waits for that.
    void stop();

    grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> *
    Attest(grpc::CallbackServerContext *context) override;
    grpc::ServerUnaryReactor *Explain(grpc::CallbackServerContext *context,
                                      const pb::ExplainRequest *request,
                                      pb::ExplainReply *reply) override {
        return explaining_->take(context, request, reply);
    }

private:
    Backlog backlog_;
    Turns turns_;
    Stream::Services services_;
    std::shared_ptr<Explaining> explaining_;
    int port_ = 0;
    std::unique_ptr<grpc::Server> server_;

    std::mutex mutex_;
    bool stopping_ = false;
    uint64_t last_stream_ = 0;
    std::map<std::string, std::weak_ptr<Stream>> streams_; // by host; nameless ones by address
};

} // namespace tally
