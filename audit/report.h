// `tally report`: who held which device for how long, from a verified log. Held time is what it
// says: the device was open. It is not GPU time.
#pragma once

#include "audit/account.h"

#include <string>

namespace tally {

std::string report_table(const Account &account);

// RFC 4180 but for lines that end in LF; a header line, these columns in this order, those left out
// that the report is not by (audit/usage.h):
//   day,host,tenant,parent,payer,device,model,cgroup,
//   held_seconds,held_upper_seconds,opens,found,releases,windows
// Without --by: a row per host, tenant, parent and device (cgroup empty), and one per host, device
// and cgroup without a tenant (tenant empty). held_upper_seconds is more than held_seconds where
// open files found no room. By parent or payer, but not by tenant, the row that is nobody's has
// "unattributed" there; an empty parent is that of tenants who buy through nobody. Control and
// non-ASCII bytes in names are \xNN.
std::string report_csv(const Account &account);

// What there is besides held time, on the same rows: how much could have been computed in it at
// most, and what each source of work evidence saw, with its grade. Columns after those that tell
// rows apart, a line for each source and at least one a row:
//   held_seconds,held_upper_seconds,compute_upper_operations,source,grade,busy_seconds,
//   active_seconds,counts
// compute_upper_operations is empty where the device table has no rates for all of it,
// busy_seconds where the source does not time. Rows on which only work was seen are there too.
std::string work_table(const Account &account);
std::string work_csv(const Account &account);

// The same rows with the column names of FinOps FOCUS 1.0 (focus.finops.org) for usage without a
// price; what FOCUS has no name for begins with x_, as it asks. The account is for who pays.
// `account` must tell payers apart.
std::string report_focus(const Account &account);

} // namespace tally
