// C2SP tlog-tiles: where the log's bytes lie, and what an entry bundle looks like.
//
//   checkpoint                     the signed note
//   tile/<L>/<N>[.p/<W>]           256 hashes (8,192 bytes), or W of them at the right edge
//   tile/entries/<N>[.p/<W>]       256 entries, each a big-endian uint16 length and its bytes
//
// N in groups of three digits, all but the last with an x: 1234067 -> x001/x234/067.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <optional>
#include <string>
#include <vector>

namespace tally {

inline constexpr unsigned kTileWidth = 256;
inline constexpr unsigned kTileHeight = 8; // levels of the tree per level of tiles

struct Tile {
    static constexpr int kEntries = -1;
    int level = 0; // kEntries: an entry bundle
    uint64_t index = 0;
    unsigned width = kTileWidth; // below kTileWidth: partial

    std::string path() const;  // relative to the log's directory
    size_t most_bytes() const; // that its file can have
    bool operator==(const Tile &) const = default;
};

// The tile a relative path names, or nothing if it names none. Exactly inverse to Tile::path().
std::optional<Tile> parse_tile_path(std::string_view path);

// How many hashes level `level` of tiles holds for a tree of `size`: size >> (8 * level).
uint64_t tile_hashes(unsigned level, uint64_t size);
// All tiles (hash tiles of every level, then entry bundles) of a tree of `size` leaves.
std::vector<Tile> tiles_of(uint64_t size);

void append_entry(Bytes &bundle, ByteView entry); // entry.size() <= 65,535
// The entries of a bundle, at most 256, as views into it; an error names the entry that is cut
// short.
Result<std::vector<ByteView>> split_bundle(ByteView bundle);

} // namespace tally
