// tamper: the agent saw something that could blind it, or a use around what it watches.
//
// Proves: the agent, still in possession of its key, saw this: a hook or pin of its own gone,
// others at its BPF objects, itself signalled, stopped, traced, or a device's PCI resources mapped.
// Does not prove: intent; administrators debug, and systemd stops services (SIGTERM and SIGINT,
// after which the agent says that it stops, are its ordinary end and no finding). Whoever blinds
// the agent before it can say so shows as a gap or silence instead.
#include "findings/rule.h"

namespace tally {

namespace {

bool is_tampering(const pb::Event &event) {
    switch (event.kind()) {
    case pb::Event::KIND_HOOK_LOST:
    case pb::Event::KIND_PIN_REMOVED:
    case pb::Event::KIND_FOREIGN_BPF:
    case pb::Event::KIND_AGENT_PAUSED:
    case pb::Event::KIND_AGENT_TRACED:
    case pb::Event::KIND_RESOURCE_MAPPED:
        return true;
    case pb::Event::KIND_AGENT_SIGNALLED:
        return !event.detail().starts_with("SIGTERM from ") &&
               !event.detail().starts_with("SIGINT from ");
    default:
        return false;
    }
}

class TamperRule : public Rule {
public:
    void see(const Entry &entry, std::span<const Gap>, Found &found) override {
        for (const pb::Event &event : entry.statement().events()) {
            if (is_tampering(event))
                found.see_event(entry, "tamper", event);
        }
    }
};

} // namespace

std::unique_ptr<Rule> tamper_rule() {
    return std::make_unique<TamperRule>();
}

} // namespace tally
