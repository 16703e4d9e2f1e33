#include "attest/rungs.h"

namespace tally {

std::string rung_name(pb::Rung rung) {
    switch (rung) {
    case pb::RUNG_EXACT:
        return "exact";
    case pb::RUNG_EXACT_KPROBE:
        return "kprobe";
    case pb::RUNG_TRACED:
        return "traced";
    case pb::RUNG_SCANNED:
        return "scanned";
    default:
        return "number " + std::to_string(rung);
    }
}

std::optional<pb::Rung> rung_named(const std::string &name) {
    for (pb::Rung rung :
         {pb::RUNG_EXACT, pb::RUNG_EXACT_KPROBE, pb::RUNG_TRACED, pb::RUNG_SCANNED}) {
        if (rung_name(rung) == name)
            return rung;
    }
    return std::nullopt;
}

} // namespace tally
