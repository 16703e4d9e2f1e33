// What `tally` prints, as JSON (RFC 8259). Each is one object whose first member, `log`, says of
// what log it is: origin, size, root.
#pragma once

#include "audit/account.h"
#include "audit/concurrent.h"

#include <string>
#include <vector>

namespace tally {

// hosts, usage and devices (as the CSVs' rows), recording and findings.
std::string report_json(const Account &account);

// findings alone: [{kind, host, sequence, log_index, text, id, state, explanation, explanations}]:
// explanation is the one that counts ({log_index, who, when, why, reference, withdrawn}) or null,
// explanations are the log indices of all.
std::string findings_json(const Account &account);

// hosts alone: [{host, attestations, ..., open_findings, covered_seconds,
// uncovered_seconds, findings}]
std::string hosts_json(const Account &account);

// concurrent: [{tenant or parent, certain, possible}], each of the two {devices, seconds, from};
// from is null where no device was held.
std::string concurrent_json(const Account &account, const std::vector<Concurrent> &rows,
                            bool by_parent);

} // namespace tally
