#include "audit/walk.h"

#include "attest/envelope.pb.h"
#include "audit/tree.h"
#include "base/durable.h"

#include <algorithm>

namespace tally {

namespace {

// Which host and sequence an attestation claims to be of; nothing of it is verified.
struct Claim {
    std::string host;
    uint64_t sequence = 0;
};

Claim claim_of(ByteView attestation) {
    pb::Envelope envelope;
    pb::Statement statement;
    if (!envelope.ParseFromArray(attestation.data(), static_cast<int>(attestation.size())) ||
        !statement.ParseFromString(envelope.payload()))
        return {};
    return {statement.host(), statement.sequence()};
}

std::string place(uint64_t index, const Claim &claim) {
    std::string name = "log index " + std::to_string(index);
    if (claim.host.empty())
        return name + " (host and sequence unreadable)";
    return name + " (host " + printable(claim.host, 253) + ", sequence " +
           std::to_string(claim.sequence) + ")";
}

// The chains of all hosts, as far as the walk has come.
class Chains {
public:
    explicit Chains(const FleetRoot &root) : root_(root) {}

    Status admit_entry(uint64_t index, ByteView attestation,
                       const std::function<void(const Entry &)> &visit) {
        Claim claim = claim_of(attestation);
        auto known = chains_.find(claim.host);
        Chain chain = known == chains_.end() ? Chain{} : std::move(known->second);
        auto admitted = admit(chain.head, attestation, root_);
        if (auto *breach = std::get_if<Breach>(&admitted))
            return Error{place(index, claim) + ": " + breach->reason};
        const Opened &opened = std::get<Opened>(admitted);
        if (opened.statement.has_inventory()) {
            chain.devices.clear();
            for (const pb::Device &device : opened.statement.inventory().devices())
                chain.devices[device.index()] = device;
        }
        Chain &kept = chains_[claim.host] = std::move(chain);
        visit(Entry{index, attestation, opened, kept.devices});
        return ok();
    }

private:
    struct Chain {
        ChainHead head;
        Devices devices;
    };

    const FleetRoot &root_;
    std::map<std::string, Chain> chains_;
};

Result<Checkpoint> read_checkpoint(const Source &source, const Trust &trust) {
    auto note = source.checkpoint();
    if (!note)
        return note.error();
    auto checkpoint = open_checkpoint(*note, trust.log_keys);
    if (!checkpoint)
        return Error{source.directory() + "/checkpoint: " + checkpoint.error().message};
    return checkpoint;
}

// The entries of a bundle, after they were held against the tree.
Status walk_bundle(const Source &source, const Tile &bundle, TreeCheck &tree, Chains &chains,
                   const std::function<void(const Entry &)> &visit) {
    uint64_t first = bundle.index * kTileWidth;
    auto bytes = source.read(bundle);
    if (!bytes)
        return bytes.error();
    auto entries = split_bundle(*bytes);
    std::string path = source.path_of(bundle);
    if (!entries)
        return Error{path + ": " + entries.error().message + ", counted from log index " +
                     std::to_string(first)};
    if (entries->size() != bundle.width)
        return Error{path + ": has " + std::to_string(entries->size()) + " entries, not " +
                     std::to_string(bundle.width)};
    TALLY_TRY(tree.add(bundle, *bytes, *entries,
                       [&](size_t i) { return place(first + i, claim_of((*entries)[i])); }));
    for (size_t i = 0; i < entries->size(); i++) {
        if (auto admitted = chains.admit_entry(first + i, (*entries)[i], visit); !admitted)
            return Error{path + ": " + admitted.error().message};
    }
    return ok();
}

} // namespace

Result<Trust> Trust::load(const std::string &log_keys_file, const std::string &fleet_root_file) {
    auto vkeys = read_text(log_keys_file);
    if (!vkeys)
        return vkeys.error();
    auto keys = parse_vkeys(*vkeys);
    if (!keys)
        return Error{log_keys_file + ": " + keys.error().message};
    auto pem = read_text(fleet_root_file);
    if (!pem)
        return pem.error();
    auto root = FleetRoot::from_pem(*pem);
    if (!root)
        return Error{fleet_root_file + ": " + root.error().message};
    return Trust{*std::move(keys), *std::move(root)};
}

Result<Walked> walk(const Source &source, const Trust &trust,
                    const std::function<void(const Entry &)> &visit) {
    auto checkpoint = read_checkpoint(source, trust);
    if (!checkpoint)
        return checkpoint.error();
    auto leftovers = source.survey(checkpoint->size);
    if (!leftovers)
        return leftovers.error();
    Walked walked{*checkpoint, 0, 0, *leftovers};
    TreeCheck tree(source);
    Chains chains(trust.fleet_root);
    for (uint64_t at = 0; at < checkpoint->size;) {
        uint64_t width = std::min<uint64_t>(checkpoint->size - at, kTileWidth);
        Tile bundle{Tile::kEntries, at / kTileWidth, static_cast<unsigned>(width)};
        TALLY_TRY(walk_bundle(source, bundle, tree, chains, visit));
        walked.bundles++;
        at += width;
    }
    auto root = tree.finish();
    if (!root)
        return root.error();
    if (*root != checkpoint->root)
        return Error{source.directory() + "/checkpoint: signs root " + to_base64(checkpoint->root) +
                     ", but the log's entries have root " + to_base64(*root) +
                     ": entries were changed, moved or replaced"};
    walked.hash_tiles = tree.hash_tiles();
    return walked;
}

} // namespace tally
