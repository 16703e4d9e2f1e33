#include "collector/tiles.h"

#include "base/durable.h"

#include <algorithm>
#include <filesystem>
#include <set>

namespace tally {

namespace {

namespace fs = std::filesystem;

// How many entries or hashes a tree of `size` has where `tile` belongs.
uint64_t width_of_level(const Tile &tile, uint64_t size) {
    if (tile.level == Tile::kEntries)
        return size;
    return tile.level < 8 ? tile_hashes(static_cast<unsigned>(tile.level), size) : 0;
}

// The tile at `index` as a tree of `size` has it: full, or partial at the right edge.
Tile tile_at(int level, uint64_t index, uint64_t size) {
    Tile tile{level, index};
    uint64_t left = width_of_level(tile, size) - index * kTileWidth;
    tile.width = static_cast<unsigned>(std::min<uint64_t>(left, kTileWidth));
    return tile;
}

// The directory of a tile's partial forms: "tile/0/000.p".
std::string partials_of(const Tile &tile) {
    return Tile{tile.level, tile.index}.path() + ".p";
}

} // namespace

Status write_tiles(const std::string &directory, const std::vector<TileFile> &files) {
    std::set<std::string> touched;
    for (const TileFile &file : files) {
        std::string path = directory + "/" + file.tile.path();
        std::string parent = path.substr(0, path.find_last_of('/'));
        if (touched.insert(parent).second)
            TALLY_TRY(make_directories(parent));
        TALLY_TRY(replace_file_unsynced_name(path, file.contents));
    }
    for (const std::string &parent : touched)
        TALLY_TRY(sync_directory(parent));
    return ok();
}

Result<TileTree> read_hashes(const std::string &directory, const Tile &tile) {
    std::string path = directory + "/" + tile.path();
    auto bytes = read_file(path, kTileWidth * sizeof(Digest));
    if (!bytes)
        return bytes.error();
    if (bytes->size() != tile.width * sizeof(Digest))
        return Error{path + ": has " + std::to_string(bytes->size()) + " bytes, not " +
                     std::to_string(tile.width * sizeof(Digest)) +
                     "; restore the log from a copy, `tally verify` says what is damaged"};
    TileTree tree;
    for (size_t at = 0; at < bytes->size(); at += sizeof(Digest)) {
        Digest hash;
        std::copy_n(bytes->begin() + static_cast<ptrdiff_t>(at), hash.size(), hash.begin());
        tree.add(hash);
    }
    return tree;
}

namespace {

// Reads a bundle and holds its entries against `hashes`.
Result<Bytes> read_bundle(const std::string &directory, const Tile &bundle,
                          const TileTree &hashes) {
    std::string path = directory + "/" + bundle.path();
    auto bytes = read_file(path, bundle.most_bytes());
    if (!bytes)
        return bytes.error();
    auto entries = split_bundle(*bytes);
    if (!entries)
        return Error{path + ": " + entries.error().message};
    if (entries->size() != bundle.width)
        return Error{path + ": has " + std::to_string(entries->size()) + " entries, not " +
                     std::to_string(bundle.width)};
    for (unsigned i = 0; i < bundle.width; ++i) {
        if (leaf_hash((*entries)[i]) != hashes.node(0, i))
            return Error{path + ": entry " + std::to_string(bundle.index * kTileWidth + i) +
                         " is not what " + Tile{0, bundle.index, bundle.width}.path() + " says"};
    }
    return bytes;
}

} // namespace

Result<std::vector<Bytes>> read_entries(const std::string &directory, const Tile &bundle) {
    auto hashes = read_hashes(directory, Tile{0, bundle.index, bundle.width});
    if (!hashes)
        return hashes.error();
    auto bytes = read_bundle(directory, bundle, *hashes);
    if (!bytes)
        return bytes.error();
    std::vector<Bytes> entries;
    auto views = split_bundle(*bytes);
    if (!views)
        return views.error();
    for (ByteView entry : *views)
        entries.push_back(to_bytes(entry));
    return entries;
}

Result<RightEdge> read_edge(const std::string &directory, uint64_t size, uint64_t since) {
    std::vector<TileTree> edge;
    Bytes bundle;
    // Hashes of the full tiles seen one level below, from tile number `first_below` on.
    std::vector<Digest> below;
    uint64_t first_below = 0;
    for (unsigned level = 0; tile_hashes(level, size) > 0; ++level) {
        int number = static_cast<int>(level);
        uint64_t hashes = tile_hashes(level, size);
        uint64_t last = (hashes - 1) / kTileWidth;
        uint64_t first = std::min(tile_hashes(level + 1, since), last);
        std::vector<Digest> full;
        edge.emplace_back();
        for (uint64_t index = first; index <= last; ++index) {
            Tile name = tile_at(number, index, size);
            auto tree = read_hashes(directory, name);
            if (!tree)
                return tree.error();
            for (unsigned i = 0; i < name.width; ++i) {
                uint64_t child = index * kTileWidth + i;
                if (level == 0 || child < first_below)
                    continue;
                if (tree->node(0, i) != below[child - first_below])
                    return Error{directory + "/" + name.path() + ": does not fit " +
                                 Tile{number - 1, child}.path() + " below it"};
            }
            if (level == 0) {
                name.level = Tile::kEntries;
                auto bytes = read_bundle(directory, name, *tree);
                if (!bytes)
                    return bytes.error();
                if (name.width < kTileWidth)
                    bundle = *std::move(bytes);
            }
            if (tree->full())
                full.push_back(tree->node(kTileHeight, 0));
            else
                edge.back() = *std::move(tree);
        }
        below = std::move(full);
        first_below = first;
    }
    return RightEdge{Edge(size, std::move(edge)), std::move(bundle)};
}

Result<std::vector<std::string>> remove_leftovers(const std::string &directory, uint64_t size) {
    std::vector<std::string> foreign;
    std::vector<fs::path> doomed;
    std::error_code error;
    for (fs::recursive_directory_iterator it(directory, error), end; !error && it != end;
         it.increment(error)) {
        if (it->is_directory(error) && !it->is_symlink(error))
            continue;
        std::string path = it->path().lexically_relative(directory).string();
        auto tile = parse_tile_path(path);
        if (tile) {
            uint64_t hashes = width_of_level(*tile, size);
            uint64_t full_tiles = hashes / kTileWidth;
            bool full_exists = tile->index < full_tiles;
            bool beyond =
                !full_exists && (tile->index > full_tiles || tile->width > hashes % kTileWidth);
            bool superseded = full_exists && tile->width < kTileWidth;
            if (beyond || superseded)
                doomed.push_back(it->path());
        } else if (path.ends_with(".tmp")) {
            doomed.push_back(it->path());
        } else if (path != "checkpoint") {
            foreign.push_back(path);
        }
    }
    if (error)
        return Error{"read directory " + directory + ": " + error.message()};
    for (const fs::path &path : doomed) {
        if (!fs::remove(path, error) && error)
            return Error{"remove " + path.string() + ": " + error.message()};
        if (path.parent_path() != fs::path(directory))
            fs::remove(path.parent_path(), error); // only if it is empty now
    }
    return foreign;
}

void remove_superseded(const std::string &directory, uint64_t older, uint64_t size) {
    for (int level = Tile::kEntries;; ++level) {
        Tile tile{level, 0};
        uint64_t before = width_of_level(tile, older);
        if (level > 0 && before == 0)
            return;
        tile.index = before / kTileWidth;
        std::error_code ignored;
        if (before % kTileWidth != 0 && tile_at(level, tile.index, size).width == kTileWidth)
            fs::remove_all(directory + "/" + partials_of(tile), ignored);
    }
}

} // namespace tally
