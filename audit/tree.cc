#include "audit/tree.h"

#include <algorithm>

namespace tally {

namespace {

constexpr size_t kHashSize = sizeof(Digest);

Bytes join(const std::vector<Digest> &hashes) {
    Bytes joined;
    joined.reserve(hashes.size() * kHashSize);
    for (const Digest &hash : hashes)
        append(joined, hash);
    return joined;
}

// The number of the first hash that differs.
size_t first_difference(ByteView a, ByteView b) {
    size_t common = std::min(a.size(), b.size());
    auto split = std::mismatch(a.begin(), a.begin() + static_cast<ptrdiff_t>(common), b.begin());
    return static_cast<size_t>(split.first - a.begin()) / kHashSize;
}

} // namespace

Status TreeCheck::add(const Tile &bundle, ByteView bytes, const std::vector<ByteView> &entries,
                      const std::function<std::string(size_t)> &name_of) {
    std::vector<Digest> leaves;
    for (ByteView entry : entries) {
        leaves.push_back(leaf_hash(entry));
        tree_.add(leaves.back());
    }
    Tile tile{0, bundle.index, bundle.width};
    Bytes expected = join(leaves);
    auto found = source_.read(tile);
    if (!found)
        return found.error();
    // Its length is close_tile's to judge.
    if (size_t wrong = first_difference(*found, expected);
        found->size() == expected.size() && wrong < entries.size())
        return Error{source_.path_of(bundle) + ": " + name_of(wrong) +
                     " is not the entry whose hash is in " + tile.path()};
    TALLY_TRY(check_superseded(bundle, bytes, [&](unsigned width) {
        return width < entries.size()
                   ? static_cast<size_t>(entries[width].data() - bytes.data()) - 2
                   : bytes.size();
    }));
    if (levels_.empty())
        levels_.emplace_back();
    levels_[0].hashes = std::move(leaves);
    return bundle.width == kTileWidth ? close_tile(0) : ok();
}

// The tile being filled at `level` is complete, or the last: compares it with its file, and passes
// the hash of a full one to the level above.
Status TreeCheck::close_tile(unsigned level) {
    Level &closing = levels_[level];
    auto width = static_cast<unsigned>(closing.hashes.size());
    Tile tile{static_cast<int>(level), closing.index, width};
    Bytes expected = join(closing.hashes);
    auto found = source_.read(tile);
    if (!found)
        return found.error();
    if (!equal(*found, expected)) {
        size_t wrong = first_difference(*found, expected);
        return Error{source_.path_of(tile) + ": " +
                     (wrong < width
                          ? "hash " + std::to_string(wrong) + " is not that of the entries"
                          : "has " + std::to_string(found->size()) + " bytes, not " +
                                std::to_string(expected.size()))};
    }
    TALLY_TRY(check_superseded(tile, expected, [](unsigned part) { return part * kHashSize; }));
    hash_tiles_++;
    if (width < kTileWidth)
        return ok();
    Digest above = subtree_root(closing.hashes);
    closing.hashes.clear();
    closing.index++;
    if (levels_.size() == level + 1)
        levels_.emplace_back();
    levels_[level + 1].hashes.push_back(above);
    return levels_[level + 1].hashes.size() == kTileWidth ? close_tile(level + 1) : ok();
}

Result<Digest> TreeCheck::finish() {
    for (unsigned level = 0; level < levels_.size(); level++) {
        if (!levels_[level].hashes.empty())
            TALLY_TRY(close_tile(level));
    }
    return tree_.root();
}

Status TreeCheck::check_superseded(const Tile &tile, ByteView bytes,
                                   const std::function<size_t(unsigned)> &prefix) const {
    auto older = source_.superseded(tile);
    if (!older)
        return older.error();
    for (const Tile &part : *older) {
        auto found = source_.read(part);
        if (!found)
            return found.error();
        if (!equal(*found, bytes.first(prefix(part.width))))
            return Error{source_.path_of(part) + ": is not the beginning of " + tile.path()};
    }
    return ok();
}

} // namespace tally
