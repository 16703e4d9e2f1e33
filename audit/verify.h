// `tally verify`: walks a log and says in a few lines what was verified and what to look at.
#pragma once

#include "audit/findings.h"
#include "audit/walk.h"

namespace tally {

struct Verdict {
    Walked log;
    std::map<std::string, Timeline> hosts;
    std::vector<Finding> findings;
};

Result<Verdict> verify(const Source &source, const Trust &trust);

std::string verdict_text(const Verdict &verdict);
// One line per finding, and how many; empty if there are none.
std::string findings_text(const std::vector<Finding> &findings);
// Names what lies in the directory without being part of the log; empty if nothing does.
std::string leftovers_text(const Leftovers &leftovers);

} // namespace tally
