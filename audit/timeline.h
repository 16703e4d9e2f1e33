// `tally timeline`: who held a device, or what a host or tenant held, and when, as text bars.
#pragma once

#include "audit/holds.h"

#include <string>

namespace tally {

// One line for each host, device and tenant that `what` names (any of the three); an error if it
// names none. Each character is one `columns`th of the time that was asked about, or of the time
// that anything was held if nothing was asked.
Result<std::string> timeline(const Holds &holds, const Question &question, const std::string &what,
                             size_t columns = 60);

} // namespace tally
