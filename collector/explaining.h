// `Ledger.Explain`: explanations on their way into the log. All of them have one lane among the
// hosts' (turns.h): whoever sends many waits for everybody, and no host for more than one of them.
//
// Who may send is decided by the TLS handshake, who may explain by the envelope's signature. At
// most kMost wait; what comes then is told to come again (RESOURCE_EXHAUSTED). A stop, or a log
// that cannot be written, is UNAVAILABLE. A refusal is an answer, with gRPC status OK.
#pragma once

#include "attest/ledger.grpc.pb.h"
#include "collector/sequencer.h"
#include "collector/turns.h"

#include <deque>
#include <memory>
#include <mutex>
#include <string>

namespace tally {

class Explaining : public Lane, public std::enable_shared_from_this<Explaining> {
public:
    // References outlive this and every call.
    Explaining(const FleetRoot &root, Sequencer &sequencer, Turns &turns, const Log &lines)
        : root_(root), sequencer_(sequencer), turns_(turns), lines_(lines) {}

    grpc::ServerUnaryReactor *take(grpc::CallbackServerContext *context,
                                   const pb::ExplainRequest *request, pb::ExplainReply *reply);
    bool take_turn() override; // verifies one

private:
    static constexpr size_t kMost = 64;

    struct Call {
        std::string peer;
        const pb::ExplainRequest *request; // gRPC's, until the reactor has finished
        pb::ExplainReply *reply;
        grpc::ServerUnaryReactor *reactor;
    };
    void verify(const Call &call);
    void refuse(const Call &call, const Breach &breach);
    void answer(const Call &call, const std::string &who, Sequencer::Verdict verdict);

    const FleetRoot &root_;
    Sequencer &sequencer_;
    Turns &turns_;
    const Log &lines_;

    std::mutex mutex_;
    std::deque<Call> waiting_;
    bool working_ = false; // a turn is taken or waited for
};

} // namespace tally
