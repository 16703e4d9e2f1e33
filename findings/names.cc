#include "findings/names.h"

#include <sys/sysmacros.h>

namespace tally {

std::string rung_precision(pb::Rung rung) {
    switch (rung) {
    case pb::RUNG_SCANNED:
        return "opens and releases to one scan";
    case pb::RUNG_TRACED:
        return "opens exact, releases to one scan";
    case pb::RUNG_EXACT:
    case pb::RUNG_EXACT_KPROBE:
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
    case pb::Event::KIND_HOOK_LOST:
        return "hook lost";
    case pb::Event::KIND_PIN_REMOVED:
        return "pin removed";
    case pb::Event::KIND_FOREIGN_BPF:
        return "foreign use of our BPF objects";
    case pb::Event::KIND_AGENT_SIGNALLED:
        return "agent signalled";
    case pb::Event::KIND_AGENT_PAUSED:
        return "agent paused";
    case pb::Event::KIND_AGENT_TRACED:
        return "agent traced";
    case pb::Event::KIND_CLOCK_SET:
        return "clock set";
    case pb::Event::KIND_DRIVER_BOUND:
        return "driver bound";
    case pb::Event::KIND_DRIVER_UNBOUND:
        return "driver unbound";
    case pb::Event::KIND_DEVICE_ADDED:
        return "device added";
    case pb::Event::KIND_DEVICE_REMOVED:
        return "device removed";
    case pb::Event::KIND_RESOURCE_MAPPED:
        return "PCI resource mapped";
    case pb::Event::KIND_HANDED_OVER:
        return "totals handed over";
    case pb::Event::KIND_TENANT_CHANGED:
        return "tenant changed";
    case pb::Event::KIND_CONFIG_CHANGED:
        return "configuration changed";
    case pb::Event::KIND_CONFIG_REJECTED:
        return "configuration rejected";
    default:
        return "event of kind " + std::to_string(kind);
    }
}

std::string grade_name(pb::Grade grade) {
    switch (grade) {
    case pb::GRADE_HELD:
        return "held";
    case pb::GRADE_ABLE:
        return "able";
    case pb::GRADE_SAMPLED:
        return "sampled";
    case pb::GRADE_EXACT:
        return "exact";
    default:
        return "grade " + std::to_string(grade);
    }
}

std::string cgroup_name(const pb::Workload &workload) {
    return workload.cgroup_path().empty() ? "id:" + std::to_string(workload.cgroup_id())
                                          : workload.cgroup_path();
}

std::vector<std::string> parties_above(const pb::Workload &workload) {
    std::vector<std::string> parties;
    if (!workload.parent().empty())
        parties.push_back(workload.parent());
    parties.insert(parties.end(), workload.payers().begin(), workload.payers().end());
    return parties;
}

const std::string &payer_of(const pb::Workload &workload) {
    if (workload.payers_size() > 0)
        return *workload.payers().rbegin();
    return workload.parent().empty() ? workload.tenant() : workload.parent();
}

std::string opener_name(const pb::Opener &opener) {
    std::string user = "user " + std::to_string(opener.user());
    if (opener.inode() == 0 && opener.executable().empty())
        return "a thread of the kernel or a process at its end (" + user + ")";
    return opener.executable() + " (" + user + ", file " + std::to_string(major(opener.device())) +
           ":" + std::to_string(minor(opener.device())) + "/" + std::to_string(opener.inode()) +
           ")";
}

} // namespace tally
