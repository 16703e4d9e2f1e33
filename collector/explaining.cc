#include "collector/explaining.h"

#include <utility>

namespace tally {

grpc::ServerUnaryReactor *Explaining::take(grpc::CallbackServerContext *context,
                                           const pb::ExplainRequest *request,
                                           pb::ExplainReply *reply) {
    grpc::ServerUnaryReactor *reactor = context->DefaultReactor();
    {
        std::lock_guard lock(mutex_);
        if (waiting_.size() >= kMost) {
            reactor->Finish({grpc::StatusCode::RESOURCE_EXHAUSTED,
                             "too many explanations at once; try again later"});
            return reactor;
        }
        waiting_.push_back({printable(context->peer()), request, reply, reactor});
        if (std::exchange(working_, true))
            return reactor;
    }
    turns_.add(shared_from_this());
    return reactor;
}

bool Explaining::take_turn() {
    Call call{};
    {
        std::lock_guard lock(mutex_);
        call = std::move(waiting_.front());
        waiting_.pop_front();
    }
    verify(call);
    std::lock_guard lock(mutex_);
    working_ = !waiting_.empty();
    return working_;
}

void Explaining::verify(const Call &call) {
    ByteView entry = view(call.request->explanation());
    auto opened = open_explanation(entry, root_);
    if (const auto *breach = std::get_if<Breach>(&opened))
        return refuse(call, *breach);
    auto &said = std::get<OpenedExplanation>(opened);
    std::string who = said.who;
    sequencer_.explain(std::move(said), to_bytes(entry),
                       [self = shared_from_this(), call, who](Sequencer::Verdict verdict) {
                           self->answer(call, who, std::move(verdict));
                       });
}

void Explaining::refuse(const Call &call, const Breach &breach) {
    lines_.warning(call.peer + ": refused an explanation: " + pb::Refusal::Code_Name(breach.code) +
                   ": " + printable(breach.reason));
    pb::Refusal &refusal = *call.reply->mutable_refusal();
    refusal.set_code(breach.code);
    refusal.set_reason(printable(breach.reason));
    call.reactor->Finish(grpc::Status::OK);
}

void Explaining::answer(const Call &call, const std::string &who, Sequencer::Verdict verdict) {
    if (const auto *breach = std::get_if<Breach>(&verdict))
        return refuse(call, *breach);
    if (const auto *away = std::get_if<TurnedAway>(&verdict))
        return call.reactor->Finish({grpc::StatusCode::UNAVAILABLE, away->reason});
    auto &receipt = std::get<pb::Receipt>(verdict);
    lines_.info(call.peer + ": an explanation by " + who + " is at log index " +
                std::to_string(receipt.index()));
    *call.reply->mutable_receipt() = std::move(receipt);
    call.reactor->Finish(grpc::Status::OK);
}

} // namespace tally
