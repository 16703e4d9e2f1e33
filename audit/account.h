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

// An error if anything at all in the log does not verify: then there are no figures. Findings and
// coverage are of the whole log, whatever `usage` was asked about. `also` sees every attestation.
Result<Account> take_account(const Source &source, const Trust &trust,
                             UsageSums usage = UsageSums(), const WalkOptions &options = {},
                             const Visit &also = {});

// The same behind what the state file says was verified before, then writes the file anew; from the
// beginning if there is none. Usage is of what is new alone.
Result<Account> take_account_since(const Source &source, const Trust &trust,
                                   const std::string &state_file, WalkOptions options = {});

// `tally verify`: what was verified, each host's chain, findings and notes.
std::string verification_text(const Account &account);

// `tally findings`: the findings alone.
std::string findings_table(const Account &account);

// `tally hosts`: each host's chain and coverage.
std::string hosts_table(const Account &account);
std::string hosts_csv(const Account &account);

} // namespace tally
