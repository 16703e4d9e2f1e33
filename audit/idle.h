// `tally report --idle`: where each device's time went, in figures that add up.
#pragma once

#include "audit/occupancy.h"

#include <string>

namespace tally {

// With a line for all of them; times in seconds throughout, so that they can be added up.
std::string idle_table(const DeviceTimesSums &sums);
// A header line, these columns in this order, those left out that it is not by:
//   day,host,device,model,covered_seconds,tenant_seconds,service_seconds,unattributed_seconds,
//   overlap_seconds,idle_seconds,not_told_seconds,idle_is_upper_bound
// tenant + service + unattributed - overlap + idle + not_told = covered, to the digit. Devices that
// nobody held have rows too. not_told_seconds is more than 0 only where an agent did not measure
// occupancy.
std::string idle_csv(const DeviceTimesSums &sums);

} // namespace tally
