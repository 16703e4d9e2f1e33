#include "audit/batch.h"

#include "attest/merkle.h"

#include <algorithm>

namespace tally {

namespace {

// The first `width` entries of a bundle.
Result<std::vector<ByteView>> entries_of(const Source &source, const Source::TileFile &found,
                                         unsigned width) {
    auto entries = split_bundle(found.bytes);
    if (!entries)
        return source.error(found.tile.path(), entries.error().message);
    if (entries->size() != found.tile.width)
        return source.error(found.tile.path(), "has " + std::to_string(entries->size()) +
                                                   " entries, not " +
                                                   std::to_string(found.tile.width));
    entries->resize(width);
    return entries;
}

} // namespace

const KeyCache::Known *HostKeys::find(const std::string &host, const std::string &id) const {
    auto of_host = keys_.find(host);
    if (of_host == keys_.end())
        return nullptr;
    auto key = of_host->second.find(id);
    // A hint that leads nowhere must not hide what the signature says.
    return key != of_host->second.end() ? &key->second : &of_host->second.begin()->second;
}

void HostKeys::add(const std::string &host, const KeyCache::Known &key) {
    keys_[host].emplace(key.id, key);
}

void Batch::load(const Source &source, uint64_t first_index, uint64_t size) {
    first = first_index;
    auto width = static_cast<unsigned>(std::min<uint64_t>(size - first, kTileWidth));
    tile = {Tile::kEntries, first / kTileWidth, width};
    auto found = source.read_tile(tile);
    if (!found) {
        error = found.error();
        return;
    }
    file = *std::move(found);
    auto split = entries_of(source, file, width);
    if (!split) {
        error = split.error();
        return;
    }
    entries = *std::move(split);
    items.resize(entries.size());
}

void Batch::open(const FleetRoot &root) {
    for (size_t i = 0; i < entries.size(); i++) {
        Item &item = items[i];
        item.leaf = leaf_hash(entries[i]);
        auto read = read_entry(entries[i]);
        if (auto *breach = std::get_if<Breach>(&read)) {
            item.breach = std::move(*breach);
            continue;
        }
        auto &unverified = std::get<UnverifiedEntry>(read);
        if (auto *said = std::get_if<UnverifiedExplanation>(&unverified)) {
            item.breach = verify_explanation(*said, root);
            item.explanation = std::move(said->opened);
            continue;
        }
        item.read = std::get<Unverified>(std::move(unverified));
        if (item.read->opened.statement.certificate().empty())
            continue;
        auto certified = certified_key(item.read->opened.statement, root);
        if (auto *breach = std::get_if<Breach>(&certified)) {
            item.breach = std::move(*breach);
            continue;
        }
        item.certified = std::get<KeyCache::Known>(std::move(certified));
        item.breach = verify_signature(*item.read, *item.certified);
        item.verified = !item.breach;
    }
}

void Batch::assign_keys(HostKeys &keys) {
    for (Item &item : items) {
        if (item.breach || item.explanation)
            continue;
        const std::string &host = item.read->opened.statement.host();
        if (item.verified) {
            keys.add(host, *item.certified);
            continue;
        }
        item.key = keys.find(host, item.read->envelope.key_id);
        if (item.key == nullptr)
            item.breach = Breach{pb::Refusal::CODE_BAD_CERTIFICATE,
                                 "the log has no signing certificate of this host before it"};
    }
}

void Batch::verify() {
    for (Item &item : items) {
        if (item.breach || item.explanation || item.verified)
            continue;
        item.breach = verify_signature(*item.read, *item.key);
        item.verified = !item.breach;
    }
}

} // namespace tally
