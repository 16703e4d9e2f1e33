#include "attest/layout.h"

#include "attest/crypto.h"
#include "attest/dsse.h"

#include <algorithm>
#include <cstdio>

namespace tally {

namespace {

std::string index_path(uint64_t index) {
    auto group = [](uint64_t digits) {
        char text[8];
        std::snprintf(text, sizeof(text), "%03u", static_cast<unsigned>(digits));
        return std::string(text);
    };
    std::string path = group(index % 1000);
    for (index /= 1000; index > 0; index /= 1000)
        path.insert(0, "x" + group(index % 1000) + "/");
    return path;
}

// All tiles of one level, given how many hashes (or entries) it holds.
void add_level(std::vector<Tile> &tiles, int level, uint64_t hashes) {
    for (uint64_t index = 0; index < hashes / kTileWidth; index++)
        tiles.push_back({level, index, kTileWidth});
    if (auto width = static_cast<unsigned>(hashes % kTileWidth); width > 0)
        tiles.push_back({level, hashes / kTileWidth, width});
}

} // namespace

size_t Tile::most_bytes() const {
    return level == kEntries ? size_t{kTileWidth} * (2 + kMaxAttestation)
                             : kTileWidth * std::tuple_size_v<Digest>;
}

std::string Tile::path() const {
    std::string path =
        "tile/" + (level == kEntries ? "entries" : std::to_string(level)) + "/" + index_path(index);
    if (width < kTileWidth)
        path += ".p/" + std::to_string(width);
    return path;
}

std::optional<Tile> parse_tile_path(std::string_view path) {
    std::string_view rest = path;
    if (take_until(rest, '/') != "tile")
        return std::nullopt;
    Tile tile;
    std::string_view level = take_until(rest, '/');
    if (level == "entries") {
        tile.level = Tile::kEntries;
    } else {
        auto number = parse_decimal(level);
        if (!number || *number > 63)
            return std::nullopt;
        tile.level = static_cast<int>(*number);
    }
    if (size_t partial = rest.rfind(".p/"); partial != std::string_view::npos) {
        auto width = parse_decimal(rest.substr(partial + 3));
        if (!width || *width == 0 || *width >= kTileWidth)
            return std::nullopt;
        tile.width = static_cast<unsigned>(*width);
        rest = rest.substr(0, partial);
    }
    if (rest.size() > 32)
        return std::nullopt;
    while (!rest.empty()) {
        std::string_view group = take_until(rest, '/');
        if (group.starts_with('x'))
            group.remove_prefix(1);
        if (group.size() != 3 ||
            !std::all_of(group.begin(), group.end(), [](char c) { return c >= '0' && c <= '9'; }))
            return std::nullopt;
        if (tile.index > UINT64_MAX / 1000 - 1)
            return std::nullopt;
        for (char digit : group)
            tile.index = tile.index * 10 + static_cast<uint64_t>(digit - '0');
    }
    // One path per tile: whatever is not spelled as path() would spell it names none.
    return tile.path() == path ? std::optional(tile) : std::nullopt;
}

uint64_t tile_hashes(unsigned level, uint64_t size) {
    unsigned shift = level * kTileHeight;
    return shift < 64 ? size >> shift : 0;
}

std::vector<Tile> tiles_of(uint64_t size) {
    std::vector<Tile> tiles;
    for (unsigned level = 0; tile_hashes(level, size) > 0; level++)
        add_level(tiles, static_cast<int>(level), tile_hashes(level, size));
    add_level(tiles, Tile::kEntries, size);
    return tiles;
}

void append_entry(Bytes &bundle, ByteView entry) {
    put_be16(bundle, static_cast<uint16_t>(entry.size()));
    append(bundle, entry);
}

Result<std::vector<ByteView>> split_bundle(ByteView bundle) {
    std::vector<ByteView> entries;
    while (!bundle.empty()) {
        size_t length = bundle.size() >= 2 ? get_be16(bundle.data()) : SIZE_MAX;
        if (length == SIZE_MAX || length > bundle.size() - 2)
            return Error{"entry " + std::to_string(entries.size()) + " is cut short"};
        if (entries.size() == kTileWidth)
            return Error{"more than 256 entries"};
        entries.push_back(bundle.subspan(2, length));
        bundle = bundle.subspan(2 + length);
    }
    return entries;
}

} // namespace tally
