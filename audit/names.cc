#include "audit/names.h"

namespace tally {

std::string rung_name(pb::Rung rung) {
    switch (rung) {
    case pb::RUNG_SCANNED:
        return "scanned";
    case pb::RUNG_TRACED:
        return "traced";
    case pb::RUNG_EXACT:
        return "exact";
    default:
        return "number " + std::to_string(rung);
    }
}

std::string rung_precision(pb::Rung rung) {
    switch (rung) {
    case pb::RUNG_SCANNED:
        return "opens and releases to one scan";
    case pb::RUNG_TRACED:
        return "opens exact, releases to one scan";
    case pb::RUNG_EXACT:
        return "opens and releases exact";
    default:
        return "precision unknown to this version";
    }
}

std::string event_name(pb::Event::Kind kind) {
    switch (kind) {
    case pb::Event::KIND_AGENT_START:
        return "agent start";
    case pb::Event::KIND_AGENT_STOP:
        return "agent stop";
    case pb::Event::KIND_SPOOL_DAMAGED:
        return "spool damaged";
    case pb::Event::KIND_SPOOL_FULL:
        return "spool full";
    case pb::Event::KIND_REFUSED:
        return "attestation refused";
    case pb::Event::KIND_RECEIPT_INVALID:
        return "receipt invalid";
    default:
        return "event of kind " + std::to_string(kind);
    }
}

std::string cgroup_name(const pb::Workload &workload) {
    return workload.cgroup_path().empty() ? "id:" + std::to_string(workload.cgroup_id())
                                          : workload.cgroup_path();
}

} // namespace tally
