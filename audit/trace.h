// `tally trace`: from a figure to the attestations behind it.
#pragma once

#include "audit/question.h"
#include "audit/walk.h"

#include <string>

namespace tally {

// Verifies the log; one line for each row of usage that the question covers, and their sum, which
// is the figure that a report over the same question shows.
Result<std::string> trace(const Source &source, const Trust &trust, const Question &question,
                          const WalkOptions &options);

} // namespace tally
