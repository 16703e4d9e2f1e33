// `tally report`: who held which device for how long, from a verified log. Held time is what it
// says: the device was open. It is not GPU time.
#pragma once

#include "audit/account.h"

#include <string>

namespace tally {

std::string report_table(const Account &account);

// RFC 4180 but for lines that end in LF; a header line, these columns in this order:
//   host,tenant,parent,device,cgroup,held_seconds,opens,found,releases,windows
// A row per host, tenant, parent and device (cgroup empty), and one per host, device and cgroup
// without a tenant (tenant empty). Control and non-ASCII bytes in names are \xNN.
std::string report_csv(const Account &account);

// One object: log, hosts, usage (as the CSV's rows), recording and findings.
std::string report_json(const Account &account);

} // namespace tally
