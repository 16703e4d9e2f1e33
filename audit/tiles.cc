#include "audit/tiles.h"

#include <algorithm>

namespace tally {

namespace {

constexpr size_t kKept = 64; // tiles; 8 KiB each

} // namespace

Result<Digest> TileHashes::operator()(unsigned level, uint64_t position) {
    unsigned height = level % kTileHeight; // of the subtree within the tile
    uint64_t first = position << height;
    auto found = tile(level / kTileHeight, first / kTileWidth);
    if (!found)
        return found.error();
    std::span<const Digest> hashes(**found);
    size_t offset = first % kTileWidth;
    size_t count = size_t{1} << height;
    if (offset + count > hashes.size())
        return Error{"no hash " + std::to_string(position) + " at level " + std::to_string(level) +
                     " of a tree of " + std::to_string(size_)};
    return subtree_root(hashes.subspan(offset, count));
}

Result<const std::vector<Digest> *> TileHashes::tile(unsigned level, uint64_t index) {
    auto known = tiles_.find({level, index});
    if (known != tiles_.end())
        return &known->second;
    uint64_t hashes = tile_hashes(level, size_);
    uint64_t width = hashes > index * kTileWidth
                         ? std::min<uint64_t>(hashes - index * kTileWidth, kTileWidth)
                         : 0;
    if (width == 0)
        return Error{"no such tile in a tree of " + std::to_string(size_)};
    auto file = source_.read_tile({static_cast<int>(level), index, static_cast<unsigned>(width)});
    if (!file)
        return file.error();
    if (file->bytes.size() < width * sizeof(Digest))
        return source_.error(file->tile.path(), "is too short");
    std::vector<Digest> read(width);
    for (size_t i = 0; i < width; i++)
        std::copy_n(file->bytes.begin() + static_cast<ptrdiff_t>(i * sizeof(Digest)),
                    sizeof(Digest), read[i].begin());
    if (tiles_.size() >= kKept)
        tiles_.erase(tiles_.begin()); // of the lowest level and index: proofs go upwards and on
    return &(tiles_[{level, index}] = std::move(read));
}

} // namespace tally
