#include "audit/prove.h"

#include "attest/bundle.pb.h"
#include "audit/bundle.h"
#include "audit/tiles.h"
#include "findings/examiner.h"

#include <algorithm>
#include <set>

namespace tally {

namespace {

// What a bundle must hold: found while the log is walked.
class Selection {
public:
    explicit Selection(const Question &question) : question_(question) {}

    void see(const Entry &entry) {
        const pb::Statement &statement = entry.statement();
        Rests &rests = hosts_[statement.host()];
        if (!statement.certificate().empty())
            rests.certificates[entry.opened.signing_key] = entry.index;
        if (statement.has_inventory() && entry.counts())
            rests.inventory = entry.index;
        bool asked =
            entry.counts() &&
            std::any_of(statement.usage().begin(), statement.usage().end(),
                        [&](const pb::Usage &usage) { return question_.covers(entry, usage); });
        if (!asked)
            return;
        asked_++;
        indices_.insert(
            {entry.index, rests.inventory, rests.certificates[entry.opened.signing_key]});
    }
    // What was said of findings that the chosen attestations show, withdrawals too.
    void add_explanations(const std::vector<Finding> &findings) {
        std::set<uint64_t> chosen = indices_;
        for (const Finding &finding : findings) {
            if (chosen.contains(finding.index))
                indices_.insert(finding.explanations.begin(), finding.explanations.end());
        }
    }
    const std::set<uint64_t> &indices() const { return indices_; }
    uint64_t asked() const { return asked_; }

private:
    struct Rests {
        uint64_t inventory = 0;
        std::map<Bytes, uint64_t> certificates; // by key
    };
    const Question &question_;
    std::map<std::string, Rests> hosts_;
    std::set<uint64_t> indices_;
    uint64_t asked_ = 0;
};

} // namespace

Result<Proved> prove(const Source &source, const Trust &trust, const Question &question,
                     const std::string &log_keys, const std::string &fleet_root,
                     const WalkOptions &options, const Write &write) {
    Selection selection(question);
    Examiner examiner;
    WalkOptions with = options;
    with.explanation = [&](const ExplanationEntry &entry) {
        examiner.add(entry.index, entry.opened);
    };
    auto verified = walk(
        source, trust,
        [&](const Entry &entry) {
            examiner.add(entry);
            selection.see(entry);
        },
        with);
    if (!verified)
        return verified.error();
    selection.add_explanations(examiner.findings());
    if (selection.asked() == 0)
        return Error{"the log verifies, but holds nothing that was asked about"};
    uint64_t size = verified->checkpoint.size;

    pb::BundleHeader header;
    header.set_checkpoint(verified->note);
    header.set_log_keys(log_keys);
    header.set_fleet_root(fleet_root);
    header.set_tenant(question.tenant);
    header.set_from_wall_ns(question.from_ns);
    header.set_to_wall_ns(question.to_ns);
    header.set_entries(selection.indices().size());
    TALLY_TRY(write(view(kBundleMagic)));
    TALLY_TRY(write(framed(header.SerializeAsString())));

    TileHashes hashes(source, size);
    std::optional<Source::TileFile> file;
    std::vector<ByteView> entries;
    for (uint64_t index : selection.indices()) {
        uint64_t bundle = index / kTileWidth;
        if (!file || file->tile.index != bundle) {
            auto width = std::min<uint64_t>(size - bundle * kTileWidth, kTileWidth);
            auto read = source.read_tile({Tile::kEntries, bundle, static_cast<unsigned>(width)});
            if (!read)
                return read.error();
            file = *std::move(read);
            auto split = split_bundle(file->bytes);
            if (!split)
                return split.error();
            entries = *std::move(split);
        }
        auto proof = inclusion_proof(index, size, std::ref(hashes));
        if (!proof)
            return proof.error();
        ByteView attestation = entries[index % kTileWidth];
        // The log was verified a moment ago; a copy that changes underneath is noticed here.
        TALLY_TRY(verify_inclusion(leaf_hash(attestation), index, size, *proof,
                                   verified->checkpoint.root));
        pb::BundleEntry entry;
        entry.set_index(index);
        entry.set_attestation(attestation.data(), attestation.size());
        for (const Digest &hash : *proof)
            entry.add_proof(hash.data(), hash.size());
        TALLY_TRY(write(framed(entry.SerializeAsString())));
    }
    return Proved{selection.asked(), selection.indices().size()};
}

} // namespace tally
