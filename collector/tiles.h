// The log's tiles as files (C2SP tlog-tiles): written durably, read back and held against each
// other. Start-up and every publication read through the same code, so what is signed is what is on
// disk.
#pragma once

#include "collector/edge.h"

#include <string>

namespace tally {

struct TileFile {
    Tile tile;
    Bytes contents;
};

// Writes the files; on return they and their names are durable. After an error their state is
// unknown.
Status write_tiles(const std::string &directory, const std::vector<TileFile> &files);

// The tree's right edge, with the entry bundle that is not full yet (file format, may be empty).
struct RightEdge {
    Edge tree;
    Bytes bundle;
};

// Reads the tiles of a tree of `size` leaves from the one that holds leaf `since` on, at every
// level, and checks them: sizes, entries against leaf hashes, full tiles against the level above.
// The caller checks the root. Errors name the file.
Result<RightEdge> read_edge(const std::string &directory, uint64_t size, uint64_t since);

// The hashes of one tile; an error if the file is not exactly that long.
Result<TileTree> read_hashes(const std::string &directory, const Tile &tile);

// The entries of one bundle, held against the leaf hashes of its tile.
Result<std::vector<Bytes>> read_entries(const std::string &directory, const Tile &bundle);

// Removes what a crash before publication left behind: tiles beyond `size` and "*.tmp" files; and
// partial tiles whose full tile exists. Returns the relative paths that no log of this format has,
// which it leaves alone.
Result<std::vector<std::string>> remove_leftovers(const std::string &directory, uint64_t size);

// Removes the partial tiles that have become full between the two sizes. Best effort: what stays is
// harmless and goes at the next start.
void remove_superseded(const std::string &directory, uint64_t older, uint64_t size);

} // namespace tally
