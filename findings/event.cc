// event: trouble between a host and the log, or with the host's tenant files, in the agent's own
// words.
//
// Proves: the agent says that its spool was damaged or full, that the collector refused an
// attestation, or that it sent a receipt which does not verify. The last is the host's word against
// the collector's: both hold what they signed. Or that tenant files were dropped which it refused:
// from then on workloads are named by files that somebody meant to be others.
// Does not prove: loss; what was lost shows as a gap. Kinds that this version does not know are
// reported here too.
#include "findings/rule.h"

namespace tally {

namespace {

// Part of a daemon's life, or what another rule judges.
bool is_reported_elsewhere(pb::Event::Kind kind) {
    switch (kind) {
    case pb::Event::KIND_AGENT_START:
    case pb::Event::KIND_AGENT_STOP:
    case pb::Event::KIND_HANDED_OVER:
    case pb::Event::KIND_CONFIG_CHANGED:
    case pb::Event::KIND_TENANT_CHANGED: // tenant_changed.cc
    case pb::Event::KIND_HOOK_LOST:      // tamper.cc
    case pb::Event::KIND_PIN_REMOVED:
    case pb::Event::KIND_FOREIGN_BPF:
    case pb::Event::KIND_AGENT_SIGNALLED:
    case pb::Event::KIND_AGENT_PAUSED:
    case pb::Event::KIND_AGENT_TRACED:
    case pb::Event::KIND_RESOURCE_MAPPED:
    case pb::Event::KIND_CLOCK_SET:    // clock.cc
    case pb::Event::KIND_DRIVER_BOUND: // device_rebound.cc
    case pb::Event::KIND_DRIVER_UNBOUND:
    case pb::Event::KIND_DEVICE_ADDED:
    case pb::Event::KIND_DEVICE_REMOVED:
        return true;
    default:
        return false;
    }
}

class EventRule : public Rule {
public:
    void see(const Entry &entry, std::span<const Gap>, Found &found) override {
        for (const pb::Event &event : entry.statement().events()) {
            if (!is_reported_elsewhere(event.kind()))
                found.see_event(entry, "event", event);
        }
    }
};

} // namespace

std::unique_ptr<Rule> event_rule() {
    return std::make_unique<EventRule>();
}

} // namespace tally
