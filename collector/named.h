// Whether an explanation speaks of this log: of an entry that is in it, as its signer saw it.
#pragma once

#include "attest/explain.h"
#include "collector/log.h"

#include <optional>

namespace tally {

// Whether a rule finds that of the entry is the auditors' to say: they are behind the sequencer.
std::optional<Breach> check_named(const TileLog &log, const pb::FindingName &name);

} // namespace tally
