// The index from the log: at start, after a crash between publication and index, and when the index
// was deleted, is damaged or belongs to another log.
#pragma once

#include "collector/index.h"
#include "collector/log.h"

namespace tally {

// Indexes the log's entries that the index lacks and returns where all hosts' chains stand at the
// log's end. The entries are held against the tree's hashes but not verified again: the log holds
// only what was admitted, and `tally verify` checks exactly that.
Result<Hosts> catch_up(Index &index, TileLog &log);

// Whether the index was made from this log.
Result<bool> belongs_to(const Index &index, TileLog &log);

// `tally-collector reindex`: makes the index anew from the log alone, beside the one that is there,
// and puts it in its place when it is whole. The log must be the caller's alone. Returns its size.
Result<uint64_t> reindex(const std::string &index_path, TileLog &log);

} // namespace tally
