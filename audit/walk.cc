#include "audit/walk.h"

#include "attest/dsse.h"
#include "audit/listing.h"
#include "audit/tree.h"
#include "base/durable.h"

#include <algorithm>

namespace tally {

namespace {

constexpr size_t kMaxCheckpoint = 65536; // as open_checkpoint

Result<Checkpoint> read_checkpoint(const Source &source, const std::vector<NoteKey> &keys) {
    auto note = source.read("checkpoint", kMaxCheckpoint);
    if (!note)
        return note.error();
    if (!note->has_value())
        return source.error("checkpoint", "missing: is this a log's directory?");
    auto checkpoint = open_checkpoint(text(**note), keys);
    if (!checkpoint)
        return source.error("checkpoint", checkpoint.error().message);
    return checkpoint;
}

// Each host's chain as far as it was read.
class Chains {
public:
    Chains(const FleetRoot &root, const std::function<void(const Entry &)> &visit)
        : root_(root), visit_(visit) {}

    // The error names host and sequence as the attestation, possibly a forged one, claims them.
    Status admit_next(uint64_t index, ByteView attestation) {
        pb::Statement claimed;
        auto envelope = dsse_open(attestation);
        if (!envelope)
            return envelope.error();
        if (!claimed.ParseFromArray(envelope->payload.data(),
                                    static_cast<int>(envelope->payload.size())))
            return Error{"payload is not a statement"};
        std::string host = claimed.host();
        auto known = chains_.find(host);
        Chain chain = known == chains_.end() ? Chain() : std::move(known->second);
        auto admitted = admit(chain.head, attestation, root_);
        if (auto *breach = std::get_if<Breach>(&admitted))
            return Error{"host " + printable(host) + ", sequence " +
                         std::to_string(claimed.sequence()) + ": " + breach->reason};
        const Opened &opened = std::get<Opened>(admitted);
        if (opened.statement.has_inventory()) {
            chain.devices.clear();
            for (const pb::Device &device : opened.statement.inventory().devices())
                chain.devices[device.index()] = device;
        }
        visit_({index, opened, chain.devices});
        chains_[host] = std::move(chain);
        return ok();
    }

private:
    struct Chain {
        ChainHead head;
        Devices devices;
    };

    const FleetRoot &root_;
    const std::function<void(const Entry &)> &visit_;
    std::map<std::string, Chain> chains_; // of hosts that the fleet's root vouches for
};

// The first tile.width entries of a bundle, which lie in `bytes`.
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

Result<Trust> Trust::load(const std::string &log_keys_file, const std::string &root_file) {
    auto vkeys = read_text(log_keys_file);
    if (!vkeys)
        return Error{"log keys: " + vkeys.error().message};
    auto keys = parse_vkeys(*vkeys);
    if (!keys)
        return Error{"log keys " + log_keys_file + ": " + keys.error().message};
    auto pem = read_text(root_file);
    if (!pem)
        return Error{"fleet root: " + pem.error().message};
    auto root = FleetRoot::from_pem(*pem);
    if (!root)
        return Error{"fleet root " + root_file + ": " + root.error().message};
    return Trust{*std::move(keys), *std::move(root)};
}

Result<Verified> walk(const Source &source, const Trust &trust,
                      const std::function<void(const Entry &)> &visit) {
    auto checkpoint = read_checkpoint(source, trust.log_keys);
    if (!checkpoint)
        return checkpoint.error();
    uint64_t size = checkpoint->size;
    auto notes = check_listing(source, size);
    if (!notes)
        return notes.error();

    TreeCheck tree(source);
    Chains chains(trust.fleet_root, visit);
    // A size that nobody has files for ends at the first that is missing.
    for (uint64_t first = 0; first < size; first += kTileWidth) {
        auto width = static_cast<unsigned>(std::min<uint64_t>(size - first, kTileWidth));
        Tile tile{Tile::kEntries, first / kTileWidth, width};
        auto found = source.read_tile(tile);
        if (!found)
            return found.error();
        auto entries = entries_of(source, *found, width);
        if (!entries)
            return entries.error();
        std::vector<Digest> leaves;
        for (ByteView entry : *entries)
            leaves.push_back(leaf_hash(entry));
        TALLY_TRY(tree.add(leaves, width == size - first));
        TALLY_TRY(check_superseded_bundles(source, tile, *entries));
        for (unsigned i = 0; i < width; i++) {
            if (auto admitted = chains.admit_next(first + i, (*entries)[i]); !admitted)
                return source.error(found->tile.path(), "log index " + std::to_string(first + i) +
                                                            ": " + admitted.error().message);
        }
    }
    if (tree.root() != checkpoint->root)
        return source.error("checkpoint", "its root is not that of the log's " +
                                              std::to_string(size) + " entries");
    return Verified{*std::move(checkpoint), *std::move(notes)};
}

} // namespace tally
