#include "collector/sequencer.h"

#include "collector/named.h"

namespace tally {

namespace {

// std::visit with one lambda per alternative.
template <typename... Cases> struct Match : Cases... { using Cases::operator()...; };
template <typename... Cases> Match(Cases...) -> Match<Cases...>;

} // namespace

Sequencer::Sequencer(TileLog log, Index index, std::string index_path, Hosts hosts,
                     const Log &lines, std::function<void()> stopped,
                     std::unique_ptr<Witnesses> witnesses, Watch *watch)
    : log_(std::move(log)), index_(std::move(index)), index_path_(std::move(index_path)),
      hosts_(std::move(hosts)), lines_(lines), stopped_(std::move(stopped)),
      witnesses_(std::move(witnesses)), watch_(watch), thread_([this] { run(); }) {
}

Sequencer::~Sequencer() {
    stop();
}

void Sequencer::stop() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    waiting_.notify_one();
    if (thread_.joinable())
        thread_.join();
}

void Sequencer::join(std::string host, uint64_t stream, uint64_t known,
                     std::function<void(Joined)> done) {
    put(Join{std::move(host), stream, known, std::move(done)});
}

void Sequencer::submit(std::string host, uint64_t stream, Opened opened, Bytes attestation,
                       Done done) {
    put(Submission{std::move(host), stream, std::move(opened), std::move(attestation),
                   std::move(done), std::nullopt});
}

void Sequencer::explain(OpenedExplanation said, Bytes entry, std::function<void(Verdict)> done) {
    put(Explaining{std::move(said), std::move(entry), std::move(done), std::nullopt});
}

void Sequencer::receipts(std::string host, uint64_t stream, uint64_t sequence, size_t limit,
                         std::function<void(Receipts)> done) {
    put(Lookup{std::move(host), stream, sequence, limit, std::move(done)});
}

void Sequencer::put(Item item) {
    {
        std::unique_lock lock(mutex_);
        if (!stopping_ && !failed_) {
            queue_.push_back(std::move(item));
            lock.unlock();
            waiting_.notify_one();
            return;
        }
    }
    turn_away(item, "the collector is stopping");
}

bool Sequencer::take(Batch &batch) {
    std::unique_lock lock(mutex_);
    waiting_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.size() <= kMaxBatch)
        batch.swap(queue_);
    while (!queue_.empty() && batch.size() < kMaxBatch) {
        batch.push_back(std::move(queue_.front()));
        queue_.pop_front();
    }
    return !batch.empty();
}

void Sequencer::run() {
    for (Batch batch; take(batch); batch.clear()) {
        uint64_t first = log_.size();
        Status status = write(batch);
        if (status)
            status = cosign();
        if (!status) {
            lines_.error(status.error().message + "; stopping, the next start recovers the log");
            {
                std::lock_guard lock(mutex_);
                failed_ = true;
                for (Item &item : queue_)
                    batch.push_back(std::move(item));
                queue_.clear();
            }
            for (Item &item : batch)
                turn_away(item, "the collector cannot write its log");
            stopped_();
            return;
        }
        answer(batch);
        if (watch_ != nullptr)
            hand_on(batch, first);
    }
}

// Decides every item of the batch, makes what was accepted durable, and remembers it.
Status Sequencer::write(Batch &batch) {
    std::vector<ByteView> entries;
    std::vector<IndexRow> rows;
    Hosts changed;
    std::map<Digest, uint64_t> explained; // in this batch
    for (Item &item : batch) {
        if (auto *explaining = std::get_if<Explaining>(&item)) {
            uint64_t log_index = log_.size() + entries.size();
            place(*explaining, log_index, explained);
            if (explaining->fresh) {
                rows.push_back(explanation_row(log_index, explaining->said));
                entries.emplace_back(explaining->entry);
            }
            continue;
        }
        if (auto *join = std::get_if<Join>(&item))
            streams_[join->host] = {join->stream, join->known};
        auto *submission = std::get_if<Submission>(&item);
        if (submission == nullptr)
            continue;
        place(*submission, log_.size() + entries.size(), changed);
        const Opened &opened = submission->opened;
        uint64_t log_index = log_.size() + entries.size();
        if (submission->kept)
            rows.push_back(fork_row(log_index, opened.statement, opened.digest));
        else if (std::holds_alternative<uint64_t>(*submission->placed))
            rows.push_back(index_row(log_index, opened.statement, changed[submission->host]));
        else
            continue;
        entries.emplace_back(submission->attestation);
    }
    if (entries.empty())
        return ok();
    TALLY_TRY(log_.append(entries));
    consistency_.clear();
    update_index(rows, changed);
    for (auto &[host, state] : changed) {
        state.new_inventory = false; // an index that failed is made from the log, not from this
        hosts_[host] = std::move(state);
    }
    return ok();
}

// The checkpoint is durable before any witness sees it: a witness must never know more than a crash
// leaves of the log.
Status Sequencer::cosign() {
    if (witnesses_ == nullptr || witnesses_->none() || cosigned_ == log_.size())
        return ok();
    std::string lines = witnesses_->cosignatures(
        log_.checkpoint(), log_.size(), [this](uint64_t older) { return log_.consistency(older); });
    if (!lines.empty())
        TALLY_TRY(log_.add_signatures(lines));
    if (witnesses_->enough(log_.checkpoint()))
        cosigned_ = log_.size();
    return ok();
}

void Sequencer::place(Submission &submission, uint64_t log_index, Hosts &changed) {
    const Opened &opened = submission.opened;
    if (streams_[submission.host].stream != submission.stream) {
        submission.placed = TurnedAway{"a newer stream of this host took over"};
        return;
    }
    // In place: copied once a batch and host, not for each of its attestations.
    auto [staged, fresh] = changed.try_emplace(submission.host);
    HostState &state = staged->second;
    if (auto known = hosts_.find(submission.host); fresh && known != hosts_.end())
        state = known->second;
    state.head.host = submission.host;
    auto breach = check_follows(state.head, opened.statement);
    // The key was known to open_attestation only if it was in the log by then.
    if (!breach && !state.head.signing_key.empty() && state.head.signing_key != opened.signing_key)
        breach = Breach{pb::Refusal::CODE_BAD_CERTIFICATE,
                        "signed with another key than the host's chain"};
    if (breach) {
        if (breach->code == pb::Refusal::CODE_REPLAYED && is_fork(opened, state.head)) {
            submission.kept = true;
            breach = Breach{pb::Refusal::CODE_FORK,
                            "the log holds another attestation with this sequence: both are kept"};
        }
        if (fresh)
            changed.erase(staged);
        submission.placed = *breach;
        streams_[submission.host].stream = 0; // a refusal ends the stream
        return;
    }
    follow(state, opened.statement, opened.digest, opened.signing_key);
    submission.placed = log_index;
}

void Sequencer::place(Explaining &explaining, uint64_t log_index,
                      std::map<Digest, uint64_t> &staged) {
    const OpenedExplanation &said = explaining.said;
    if (index_failed_) {
        explaining.placed = TurnedAway{"the index is behind the log; try again later"};
        return;
    }
    auto logged = index_.explanation(said.signed_digest);
    if (!logged) {
        explaining.placed = TurnedAway{logged.error().message};
        return;
    }
    if (auto before = staged.find(said.signed_digest); before != staged.end())
        *logged = before->second;
    if (logged->has_value()) {
        explaining.placed = **logged;
        return;
    }
    for (const pb::FindingName &name : said.explanation.findings()) {
        if (auto breach = check_named(log_, name)) {
            explaining.placed = *std::move(breach);
            return;
        }
    }
    explaining.placed = log_index;
    explaining.fresh = true;
    staged.emplace(said.signed_digest, log_index);
}

// Whether it is proof of a second history: other bytes, signed by the host, than the log holds with
// its sequence, and not there yet. What cannot be told, because the index is behind, is not kept.
bool Sequencer::is_fork(const Opened &opened, const ChainHead &head) {
    const pb::Statement &statement = opened.statement;
    if (index_failed_ || opened.signing_key != head.signing_key)
        return false;
    auto kept = index_.holds_fork(statement.host(), statement.sequence(), opened.digest);
    auto logged = index_.positions(statement.host(), statement.sequence(), 1);
    if (!kept || *kept || !logged || logged->empty() ||
        logged->front().sequence != statement.sequence())
        return false;
    uint64_t log_index = logged->front().log_index;
    auto entries = log_.entries(log_index / kTileWidth);
    return entries && sha256((*entries)[log_index % kTileWidth]) != opened.digest;
}

// To the watch, what was appended from log index `first` on; answered by now, so it can go.
void Sequencer::hand_on(Batch &batch, uint64_t first) {
    std::vector<Watch::Arrival> arrivals;
    for (Item &item : batch) {
        auto *explaining = std::get_if<Explaining>(&item);
        if (explaining != nullptr && explaining->fresh)
            arrivals.push_back(
                {first + arrivals.size(), explaining->entry.size(), std::move(explaining->said)});
        auto *submission = std::get_if<Submission>(&item);
        if (submission == nullptr ||
            (!submission->kept && !std::holds_alternative<uint64_t>(*submission->placed)))
            continue;
        arrivals.push_back({first + arrivals.size(), submission->attestation.size(),
                            std::move(submission->opened)});
    }
    if (!arrivals.empty())
        watch_->appended(std::move(arrivals));
}

Status Sequencer::reopen_index() {
    auto reopened = Index::open(index_path_);
    if (!reopened)
        return reopened.error();
    index_ = *std::move(reopened);
    TALLY_TRY(catch_up(index_, log_));
    return ok();
}

// The log is durable already: an index that fails is behind, and catches up with the next batch.
void Sequencer::update_index(const std::vector<IndexRow> &rows, const Hosts &changed) {
    Status status = ok();
    if (!index_failed_ && index_.size() + rows.size() == log_.size()) {
        auto root = log_.root_at(log_.size());
        status = root ? index_.add(rows, changed, log_.size(), *root) : Status(root.error());
    } else {
        status = reopen_index();
    }
    if (!status && !index_failed_)
        lines_.error(status.error().message + "; the log is not affected, the index will catch up");
    if (status && index_failed_)
        lines_.notice("the index has caught up with the log");
    index_failed_ = !status;
}

void Sequencer::answer(Batch &batch) {
    std::unordered_map<uint64_t, size_t> left; // submissions, by stream
    for (const Item &item : batch) {
        if (const auto *submission = std::get_if<Submission>(&item))
            ++left[submission->stream];
    }
    for (Item &item : batch) {
        const auto *submission = std::get_if<Submission>(&item);
        answer(item, submission != nullptr && --left[submission->stream] > 0);
    }
}

void Sequencer::answer(Item &item, bool more) {
    std::visit(
        Match{[this](Join &join) {
                  const ChainHead &head = hosts_[join.host].head;
                  join.done(Welcome{head.sequence, head.digest, head.signing_key});
              },
              [this, more](Submission &submission) { submission.done(verdict(submission), more); },
              [this](Explaining &explaining) { explaining.done(verdict(explaining)); },
              [this](Lookup &lookup) { lookup.done(look_up(lookup)); }},
        item);
}

Sequencer::Verdict Sequencer::verdict(const Submission &submission) {
    if (const auto *breach = std::get_if<Breach>(&*submission.placed))
        return *breach;
    if (const auto *away = std::get_if<TurnedAway>(&*submission.placed))
        return *away;
    auto made = receipt(submission.host, submission.stream, submission.opened.statement.sequence(),
                        std::get<uint64_t>(*submission.placed));
    if (!made)
        return TurnedAway{made.error().message};
    return *std::move(made);
}

Sequencer::Verdict Sequencer::verdict(const Explaining &explaining) {
    if (const auto *breach = std::get_if<Breach>(&*explaining.placed))
        return *breach;
    if (const auto *away = std::get_if<TurnedAway>(&*explaining.placed))
        return *away;
    auto made = receipt(std::get<uint64_t>(*explaining.placed));
    if (!made)
        return TurnedAway{made.error().message};
    return *std::move(made);
}

Sequencer::Receipts Sequencer::look_up(const Lookup &lookup) {
    if (index_failed_)
        return TurnedAway{"the index is behind the log; try again later"};
    auto positions = index_.positions(lookup.host, lookup.sequence, lookup.limit);
    if (!positions)
        return TurnedAway{positions.error().message};
    std::vector<pb::Receipt> receipts;
    for (const Index::Position &position : *positions) {
        auto made = receipt(lookup.host, lookup.stream, position.sequence, position.log_index);
        if (!made)
            return TurnedAway{made.error().message};
        receipts.push_back(*std::move(made));
    }
    return receipts;
}

Result<pb::Receipt> Sequencer::receipt(uint64_t log_index) {
    if (witnesses_ != nullptr && witnesses_->needed() > 0 && cosigned_ != log_.size())
        return Error{"fewer than " + std::to_string(witnesses_->needed()) +
                     " witnesses have cosigned the log; try again later"};
    auto proof = log_.inclusion(log_index);
    if (!proof)
        return proof.error();
    pb::Receipt receipt;
    receipt.set_index(log_index);
    for (const Digest &hash : *proof)
        receipt.add_proof(hash.data(), hash.size());
    receipt.set_checkpoint(log_.checkpoint());
    return receipt;
}

Result<pb::Receipt> Sequencer::receipt(const std::string &host, uint64_t stream, uint64_t sequence,
                                       uint64_t log_index) {
    auto receipt = this->receipt(log_index);
    if (!receipt)
        return receipt;
    receipt->set_sequence(sequence);
    Current &current = streams_[host];
    // A host that knows more than the log holds is given no proof, for there is none.
    if (current.stream == stream && current.known < log_.size()) {
        auto grown = consistency(current.known);
        if (!grown)
            return grown.error();
        for (const Digest &hash : *grown)
            receipt->add_consistency(hash.data(), hash.size());
        current.known = log_.size();
    }
    return receipt;
}

Result<std::vector<Digest>> Sequencer::consistency(uint64_t older) {
    if (older == 0)
        return std::vector<Digest>();
    if (auto made = consistency_.find(older); made != consistency_.end())
        return made->second;
    auto proof = log_.consistency(older);
    if (proof)
        consistency_.emplace(older, *proof);
    return proof;
}

void Sequencer::turn_away(Item &item, const std::string &reason) {
    std::visit(Match{[&](Submission &each) { each.done(TurnedAway{reason}, false); },
                     [&](auto &each) { each.done(TurnedAway{reason}); }},
               item);
}

} // namespace tally
