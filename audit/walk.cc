#include "audit/walk.h"

#include "audit/batch.h"
#include "audit/listing.h"
#include "audit/pool.h"
#include "audit/tree.h"
#include "base/durable.h"
#include "base/text.h"
#include "findings/chains.h"

#include <deque>

namespace tally {

namespace {

Result<Verified> read_checkpoint(const Source &source, const std::vector<NoteKey> &keys) {
    auto note = source.read("checkpoint", kMostCheckpoint);
    if (!note)
        return note.error();
    if (!note->has_value())
        return source.error("checkpoint", "missing: is this a log's directory?");
    auto checkpoint = open_checkpoint(text(**note), keys);
    if (!checkpoint)
        return source.error("checkpoint", checkpoint.error().message);
    return Verified{*std::move(checkpoint), std::string(text(**note)), {}, 0};
}

// Names host and sequence as the entry, possibly a forged one, claims them.
Error fault(const Source &source, const Batch &batch, size_t i) {
    return source.error(batch.file.tile.path(), "log index " + std::to_string(batch.first + i) +
                                                    ": " + claimed_origin(batch.entries[i]) +
                                                    batch.items[i].breach->reason);
}

// The batches of a log in order, each opened and verified in worker threads while others are read
// and handed out.
class Batches {
public:
    // From the bundle on that holds entry `begin`; `keys` are known from before.
    Batches(const Source &source, const FleetRoot &root, uint64_t begin, uint64_t size,
            HostKeys keys, unsigned threads)
        : source_(source), root_(root), size_(size), next_(begin / kTileWidth * kTileWidth),
          keys_(std::move(keys)), pool_(threads) {
        if (begin == size)
            next_ = size;
    }

    // The next one, all of its items verified or at fault; null at the end.
    std::unique_ptr<Batch> next() {
        read_ahead();
        while (!opening_.empty() && (verifying_.empty() || is_done(opening_.front()->working)))
            pass_on();
        if (verifying_.empty())
            return nullptr;
        std::unique_ptr<Batch> batch = std::move(verifying_.front());
        verifying_.pop_front();
        batch->working.get();
        return batch;
    }

private:
    static bool is_done(const std::future<void> &working) {
        return working.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    }
    void read_ahead() {
        while (next_ < size_ && opening_.size() + verifying_.size() < 4 * pool_.threads()) {
            auto batch = std::make_unique<Batch>();
            batch->load(source_, next_, size_);
            next_ = batch->error ? size_ : next_ + kTileWidth;
            batch->working = pool_.run([&batch = *batch, this] { batch.open(root_); });
            opening_.push_back(std::move(batch));
        }
    }
    void pass_on() {
        std::unique_ptr<Batch> batch = std::move(opening_.front());
        opening_.pop_front();
        batch->working.get();
        batch->assign_keys(keys_);
        batch->working = pool_.run([&batch = *batch] { batch.verify(); });
        verifying_.push_back(std::move(batch));
    }

    const Source &source_;
    const FleetRoot &root_;
    uint64_t size_;
    uint64_t next_; // index of the entry that the next batch begins with
    HostKeys keys_;
    std::deque<std::unique_ptr<Batch>> opening_;
    std::deque<std::unique_ptr<Batch>> verifying_;
    Pool pool_; // the last, so that it stops before the batches go
};

// An attestation of an earlier run's state, which the auditor verified then.
Result<Opened> reopen(const pb::StateEntry &entry, const std::string &signing_key) {
    auto read = read_attestation(view(entry.attestation()));
    if (auto *breach = std::get_if<Breach>(&read))
        return Error{"state: log index " + std::to_string(entry.index()) + ": " + breach->reason};
    Opened opened = std::move(std::get<Unverified>(read).opened);
    opened.signing_key = to_bytes(view(signing_key));
    return opened;
}

// Keys, chains and tree as they were when `before` was written.
Status resume(const Source &source, const FleetRoot &root, const Checkpoint &checkpoint,
              const WalkOptions &options, TreeCheck &tree, Chains &chains, HostKeys &keys) {
    const pb::VerifyState &before = *options.before;
    if (before.origin() != checkpoint.origin)
        return Error{"state: is of log " + printable(before.origin()) + ", this is " +
                     checkpoint.origin};
    if (before.size() > checkpoint.size)
        return source.error("checkpoint", "has " + std::to_string(checkpoint.size) + " entries, " +
                                              std::to_string(before.size()) +
                                              " were verified before: the log was rolled back");
    Digest old_root{};
    std::copy_n(before.root().begin(), old_root.size(), old_root.begin());
    TALLY_TRY(tree.resume(before.size(), old_root));
    for (const pb::HostState &host : before.hosts()) {
        for (const std::string &spki : host.keys()) {
            auto key = root.keys().get(view(spki));
            if (!key)
                return Error{"state: host " + printable(host.host()) + ": " + key.error().message};
            keys.add(host.host(), *key);
        }
        auto inventory = reopen(host.inventory(), host.signing_key());
        auto last = reopen(host.last(), host.signing_key());
        if (!inventory || !last)
            return inventory ? last.error() : inventory.error();
        auto placed = chains.resume(host.last().index(), *inventory, *last);
        if (!options.remember)
            continue;
        options.remember({host.inventory().index(), *inventory, placed.devices, placed.place, {}});
        if (host.inventory().index() != host.last().index())
            options.remember({host.last().index(), *last, placed.devices, placed.place, {}});
    }
    return ok();
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

std::string Verified::in_words() const {
    return "log " + checkpoint.origin + ", " + entries_in_words(checkpoint.size, explanations);
}

std::string entries_in_words(uint64_t entries, uint64_t explanations) {
    std::string words = count_of(entries - explanations, "attestation");
    return explanations == 0 ? words : words + " and " + count_of(explanations, "explanation");
}

Result<Verified> walk(const Source &source, const Trust &trust, const Visit &visit,
                      const WalkOptions &options) {
    auto verified = read_checkpoint(source, trust.log_keys);
    if (!verified)
        return verified.error();
    uint64_t size = verified->checkpoint.size;
    auto notes = check_listing(source, size);
    if (!notes)
        return notes.error();

    TreeCheck tree(source);
    Chains chains;
    HostKeys keys;
    uint64_t begin = 0;
    if (options.before != nullptr && options.before->size() > 0) {
        TALLY_TRY(
            resume(source, trust.fleet_root, verified->checkpoint, options, tree, chains, keys));
        begin = options.before->size();
        verified->explanations = options.before->explanation_entries();
    }
    Batches batches(source, trust.fleet_root, begin, size, std::move(keys), options.threads);
    for (;;) {
        std::unique_ptr<Batch> next = batches.next();
        if (next == nullptr)
            break;
        const Batch &batch = *next;
        if (batch.error)
            return *batch.error;
        std::vector<Digest> leaves;
        size_t known = begin > batch.first ? begin - batch.first : 0; // verified before
        for (size_t i = 0; i < batch.items.size(); i++) {
            if (i >= known)
                leaves.push_back(batch.items[i].leaf);
            else if (!tree.had(batch.first + i, batch.items[i].leaf))
                return source.error(batch.file.tile.path(), "log index " +
                                                                std::to_string(batch.first + i) +
                                                                " is not what was verified before");
        }
        uint64_t done = batch.first + batch.items.size();
        TALLY_TRY(tree.add(leaves, done == size));
        TALLY_TRY(check_superseded_bundles(source, batch.tile, batch.entries));
        for (size_t i = known; i < batch.items.size(); i++) {
            if (batch.items[i].breach)
                return fault(source, batch, i);
            if (const auto &said = batch.items[i].explanation) {
                verified->explanations++;
                if (options.explanation)
                    options.explanation({batch.first + i, *said, batch.entries[i]});
                continue;
            }
            Opened readable;
            if (options.unsealer != nullptr) {
                readable = batch.items[i].read->opened;
                options.unsealer->unseal(batch.first + i, readable.statement);
            }
            const Opened &opened =
                options.unsealer != nullptr ? readable : batch.items[i].read->opened;
            auto placed = chains.add(batch.first + i, opened);
            visit({batch.first + i, opened, placed.devices, placed.place, batch.entries[i]});
        }
        if (options.progress)
            options.progress(done, size);
    }
    if (tree.root() != verified->checkpoint.root)
        return source.error("checkpoint", "its root is not that of the log's " +
                                              std::to_string(size) + " entries");
    verified->notes = *std::move(notes);
    if (options.unsealer != nullptr) {
        for (std::string &note : options.unsealer->notes())
            verified->notes.push_back(std::move(note));
    }
    return verified;
}

} // namespace tally
