// The index from the log: at start, after a crash between publication and index, and when the index
// was deleted, is damaged or belongs to another log.
#pragma once

#include "collector/index.h"
#include "collector/judge.h"
#include "collector/log.h"

namespace tally {

// An entry of the log as it was opened on arrival. Its signature was verified then; whose it is, is
// known here of an attestation only if it brings a certificate.
Result<OpenedEntry> reopen(ByteView entry);

// Indexes the log's entries that the index lacks and returns where all hosts' chains stand at the
// log's end. The entries are held against the tree's hashes but not verified again: the log holds
// only what was admitted, and `tally verify` checks exactly that.
// `judge`, if any, has seen as much of the log as the index, and sees the rest too.
Result<Hosts> catch_up(Index &index, TileLog &log, Judge *judge = nullptr);

// Whether the index was made from this log.
Result<bool> belongs_to(const Index &index, TileLog &log);

// `tally-collector reindex`: makes the index anew from the log alone, beside the one that is there,
// and puts it in its place when it is whole. The log must be the caller's alone. Returns its size.
Result<uint64_t> reindex(const std::string &index_path, TileLog &log);

} // namespace tally
