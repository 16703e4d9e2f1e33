// Who answers for a workload, as every report and file says it.
#pragma once

#include "attest/statement.pb.h"

#include <string>
#include <string_view>

namespace tally {

namespace pb = tallystick::v1;

// What reports call the time that is nobody's; no party may be called so.
inline constexpr const char *kUnattributed = "unattributed";
// Before the name of a service: a program of the host's own that has devices open and is no
// tenant's, such as a monitor of the fleet's. Shown, never billed. No party's name begins so.
inline constexpr std::string_view kServicePrefix = "service:";

inline bool is_service_name(std::string_view party) {
    return party.starts_with(kServicePrefix);
}

// The tenant, or "service:" and the service; empty: nobody.
inline std::string party_of(const pb::Workload &workload) {
    return workload.service().empty() ? workload.tenant()
                                      : std::string(kServicePrefix) + workload.service();
}

} // namespace tally
