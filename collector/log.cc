#include "collector/log.h"

#include "base/durable.h"
#include "collector/tiles.h"

#include <filesystem>
#include <optional>

namespace tally {

namespace {

constexpr size_t kCachedTiles = 128; // about 16 KiB each

// At start the tiles below the last level-1 tile are checked in full, and the right edge above.
constexpr uint64_t kCheckedAtStart = uint64_t{kTileWidth} * kTileWidth;

std::vector<NoteKey> verifying_keys(const std::vector<NoteSigner> &signers) {
    std::vector<NoteKey> keys;
    keys.reserve(signers.size());
    for (const NoteSigner &signer : signers)
        keys.push_back(note_key(signer.name, signer.key.verifying_key()));
    return keys;
}

} // namespace

TileLog::TileLog(std::string directory, std::vector<NoteSigner> signers)
    : directory_(std::move(directory)), signers_(std::move(signers)) {
}

Result<TileLog> TileLog::open(std::string directory, std::vector<NoteSigner> signers,
                              uint64_t at_least) {
    TALLY_TRY(make_directories(directory));
    TileLog log(std::move(directory), std::move(signers));
    TALLY_TRY(log.recover(at_least));
    return log;
}

Status TileLog::recover(uint64_t at_least) {
    std::string path = directory_ + "/checkpoint";
    Checkpoint published{origin(), 0, empty_root()};
    std::error_code error;
    bool fresh = !std::filesystem::exists(path, error);
    if (fresh && (at_least > 0 || std::filesystem::exists(directory_ + "/tile", error)))
        return Error{path + ": missing, but the log is not new; restore it from a copy"};
    if (!fresh) {
        auto note = read_text(path);
        if (!note)
            return note.error();
        auto opened = open_checkpoint(*note, verifying_keys(signers_));
        if (!opened)
            return Error{path + ": " + opened.error().message};
        published = *std::move(opened);
        checkpoint_ = *std::move(note);
    }
    if (published.size < at_least)
        return Error{path + ": has " + std::to_string(published.size) + " entries, but " +
                     std::to_string(at_least) +
                     " were acknowledged: the log was rolled back; "
                     "restore its files, or delete index.db to accept the loss"};

    uint64_t since = published.size / kCheckedAtStart * kCheckedAtStart;
    auto edge = read_edge(directory_, published.size, since);
    if (!edge)
        return edge.error();
    if (edge->tree.root() != published.root)
        return Error{path + ": its root is not that of the tiles at the right edge; restore the "
                            "log from a copy, `tally verify` says what is damaged"};
    edge_ = std::move(edge->tree);
    bundle_ = std::move(edge->bundle);

    auto foreign = remove_leftovers(directory_, published.size);
    if (!foreign)
        return foreign.error();
    foreign_ = *std::move(foreign);
    return fresh ? publish() : ok();
}

Status TileLog::append(std::span<const ByteView> entries) {
    uint64_t older = size();
    edge_roots_.clear();
    std::vector<TileFile> files;
    std::vector<FilledTile> filled;
    for (ByteView entry : entries) {
        append_entry(bundle_, entry);
        edge_.add(leaf_hash(entry), filled);
        if (size() % kTileWidth == 0) {
            Tile bundle{Tile::kEntries, size() / kTileWidth - 1};
            files.push_back({bundle, std::exchange(bundle_, {})});
        }
    }
    if (cache_.size() + filled.size() > kCachedTiles)
        cache_.clear();
    for (FilledTile &tile : filled) {
        files.push_back({tile.name, tile.hashes.bytes()});
        cache_[{static_cast<unsigned>(tile.name.level), tile.name.index}] = std::move(tile.hashes);
    }
    for (unsigned level = 0; level < edge_.levels(); ++level) {
        const TileTree *tile = edge_.tile(level);
        uint64_t hashes = tile_hashes(level, size());
        if (tile->width() == 0 || hashes == tile_hashes(level, older))
            continue;
        Tile name{static_cast<int>(level), hashes / kTileWidth, tile->width()};
        files.push_back({name, tile->bytes()});
    }
    if (!bundle_.empty()) {
        Tile name{Tile::kEntries, size() / kTileWidth, static_cast<unsigned>(size() % kTileWidth)};
        files.push_back({name, bundle_});
    }
    TALLY_TRY(write_tiles(directory_, files));

    // One flipped bit between here and the disk must not be signed.
    auto written = read_edge(directory_, size(), older);
    if (!written)
        return written.error();
    if (written->tree.root() != edge_.root())
        return Error{directory_ + ": the tiles read back have another root than the ones written"};
    TALLY_TRY(publish());
    remove_superseded(directory_, older, size());
    return ok();
}

Status TileLog::publish() {
    auto note = sign_checkpoint({origin(), size(), edge_.root()}, signers_);
    if (!note)
        return note.error();
    TALLY_TRY(replace_file(directory_ + "/checkpoint", view(*note)));
    checkpoint_ = *std::move(note);
    return ok();
}

Status TileLog::add_signatures(const std::string &lines) {
    std::string note = checkpoint_ + lines;
    TALLY_TRY(replace_file(directory_ + "/checkpoint", view(note)));
    checkpoint_ = std::move(note);
    return ok();
}

Result<std::vector<Digest>> TileLog::inclusion(uint64_t index) {
    return inclusion_proof(
        index, size(), [this](unsigned level, uint64_t position) { return hash(level, position); },
        &edge_roots_);
}

Result<std::vector<Digest>> TileLog::consistency(uint64_t older) {
    return consistency_proof(
        older, size(), [this](unsigned level, uint64_t position) { return hash(level, position); });
}

Result<Digest> TileLog::root_at(uint64_t size) {
    std::optional<Digest> root;
    // Bit by bit from the lowest: each is a perfect subtree, left of the ones before.
    for (unsigned level = 0; level < 64 && size >> level != 0; ++level) {
        uint64_t subtrees = size >> level;
        if (subtrees % 2 == 0)
            continue;
        auto left = hash(level, subtrees - 1);
        if (!left)
            return left.error();
        root = root ? node_hash(*left, *root) : *left;
    }
    return root ? *root : empty_root();
}

Result<std::vector<Bytes>> TileLog::entries(uint64_t bundle) const {
    if (bundle * kTileWidth >= size())
        return Error{directory_ + ": has no entry bundle " + std::to_string(bundle)};
    uint64_t width = std::min<uint64_t>(size() - bundle * kTileWidth, kTileWidth);
    return read_entries(directory_, {Tile::kEntries, bundle, static_cast<unsigned>(width)});
}

Result<Digest> TileLog::hash(unsigned level, uint64_t position) {
    unsigned height = level % kTileHeight;
    unsigned tile_level = level / kTileHeight;
    uint64_t index = position >> (kTileHeight - height);
    uint64_t within = position % (uint64_t{kTileWidth} >> height);
    if (index == tile_hashes(tile_level, size()) / kTileWidth) {
        const TileTree *tile = edge_.tile(tile_level);
        if (tile != nullptr && tile->holds(height, within))
            return tile->node(height, within);
        return Error{"the tree has no node " + std::to_string(position) + " at level " +
                     std::to_string(level)};
    }
    auto found = cache_.find({tile_level, index});
    if (found == cache_.end()) {
        auto tile = read_hashes(directory_, Tile{static_cast<int>(tile_level), index});
        if (!tile)
            return tile.error();
        if (cache_.size() >= kCachedTiles)
            cache_.clear();
        found = cache_.emplace(std::pair{tile_level, index}, *std::move(tile)).first;
    }
    return found->second.node(height, within);
}

} // namespace tally
