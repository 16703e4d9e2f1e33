// A verified log in figures: all that `tally verify` and `tally report` print.
#pragma once

#include "audit/usage.h"
#include "audit/walk.h"
#include "findings/examiner.h"

#include <vector>

namespace tally {

struct Account {
    Verified log;
    Coverage coverage;
    UsageSums usage;
    std::vector<Finding> findings;
};

// An error if anything at all in the log does not verify: then there are no figures.
Result<Account> take_account(const Source &source, const Trust &trust);

// `tally verify`: what was verified, each host's chain, findings and notes.
std::string verification_text(const Account &account);

} // namespace tally
