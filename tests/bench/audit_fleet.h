// A large honest fleet's log, signed with all cores and written as it is signed, so that ten
// million attestations need no more memory than a hundred thousand.
#pragma once

#include "tests/unit/support/keys.h"

#include <string>
#include <vector>

namespace tally {

// Windows of a minute, every host's one after another; one hour in three a tenant holds one of the
// host's eight devices; inventory and certificate hourly. `total` is rounded down to a multiple of
// the hosts. Without fsync: nothing here needs to outlive the bench.
Status write_fleet_log(const TestKeys &keys, const std::vector<std::string> &hosts, size_t total,
                       const std::string &directory);

} // namespace tally
