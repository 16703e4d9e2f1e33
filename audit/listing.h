// Every file in a log's directory must have a place in the log: what has none was put there by
// somebody.
#pragma once

#include "audit/source.h"

#include <string>
#include <vector>

namespace tally {

// Names only; walk() compares the bytes. An error names the first file that belongs to no log.
// Files that a log of more than `size` entries would have, and half-written ones of the collector,
// are what a copy of a running log holds: they are returned as notes, and nobody reads them.
Result<std::vector<std::string>> check_listing(const Source &source, uint64_t size);

} // namespace tally
