#include "audit/state.h"

#include "base/durable.h"

#include <algorithm>
#include <filesystem>

namespace tally {

namespace {

constexpr size_t kLargest = size_t{1} << 30;
constexpr uint32_t kVersion = 2;

Digest digest_of(const std::string &bytes) {
    Digest digest{};
    std::copy_n(bytes.begin(), std::min(bytes.size(), digest.size()), digest.begin());
    return digest;
}

} // namespace

Result<std::optional<pb::VerifyState>> load_state(const std::string &path) {
    std::error_code failure;
    if (!std::filesystem::exists(path, failure) && !failure)
        return std::optional<pb::VerifyState>();
    auto bytes = read_file(path, kLargest);
    if (!bytes)
        return bytes.error();
    Error damaged{path + ": is damaged or no state of tally's: remove it to verify all of the log"};
    if (bytes->size() < sizeof(Digest))
        return damaged;
    ByteView message = ByteView(*bytes).first(bytes->size() - sizeof(Digest));
    pb::VerifyState state;
    if (!equal(sha256(message), ByteView(*bytes).last(sizeof(Digest))) ||
        !state.ParseFromArray(message.data(), static_cast<int>(message.size())) ||
        state.root().size() != sizeof(Digest))
        return damaged;
    if (state.version() != kVersion)
        return Error{path + ": was written by another version of tally: remove it to verify all "
                            "of the log"};
    return std::optional(std::move(state));
}

Status save_state(const std::string &path, const pb::VerifyState &state) {
    std::string message = state.SerializeAsString();
    Bytes bytes = to_bytes(view(message));
    append(bytes, sha256(view(message)));
    return replace_file(path, bytes, 0600);
}

StateKeeper::StateKeeper(const pb::VerifyState *before) {
    if (before == nullptr)
        return;
    for (const pb::HostState &host : before->hosts())
        hosts_[host.host()] = host;
    explanations_.assign(before->explanations().begin(), before->explanations().end());
}

void StateKeeper::see(const Entry &entry) {
    pb::HostState &host = hosts_[entry.statement().host()];
    std::string key(text(entry.opened.signing_key));
    if (std::find(host.keys().begin(), host.keys().end(), key) == host.keys().end())
        host.add_keys(key);
    if (entry.place.kind != Place::Kind::kNext)
        return;
    host.set_signing_key(key);
    host.mutable_last()->set_index(entry.index);
    host.mutable_last()->set_attestation(entry.bytes.data(), entry.bytes.size());
    if (entry.statement().has_inventory())
        *host.mutable_inventory() = host.last();
}

void StateKeeper::see(const ExplanationEntry &entry, const std::vector<uint32_t> &counts) {
    pb::ExplanationState kept;
    kept.set_index(entry.index);
    kept.set_entry(entry.bytes.data(), entry.bytes.size());
    kept.mutable_counts()->Add(counts.begin(), counts.end());
    explanations_.push_back(std::move(kept));
}

pb::VerifyState StateKeeper::finish(const Verified &verified, const Coverage &coverage,
                                    const std::vector<Finding> &findings) const {
    const Checkpoint &checkpoint = verified.checkpoint;
    pb::VerifyState state;
    state.set_version(kVersion);
    state.set_explanation_entries(verified.explanations);
    state.mutable_explanations()->Add(explanations_.begin(), explanations_.end());
    state.set_origin(checkpoint.origin);
    state.set_size(checkpoint.size);
    state.set_root(checkpoint.root.data(), checkpoint.root.size());
    for (const auto &[name, kept] : hosts_) {
        auto covered = coverage.hosts().find(name);
        if (covered == coverage.hosts().end())
            continue;
        pb::HostState &host = *state.add_hosts();
        host = kept;
        host.set_host(name);
        host.set_attestations(covered->second.attestations);
        host.set_first_sequence(covered->second.first_sequence);
        host.set_begin_wall_ns(covered->second.begin_wall_ns);
        host.set_boots(covered->second.boots);
        host.set_covered_ns(covered->second.covered_ns);
        host.set_uncovered_ns(covered->second.uncovered_ns);
        const Shown &uncovered = covered->second.uncovered;
        host.set_uncovered_index(uncovered.index);
        host.set_uncovered_sequence(uncovered.sequence);
        host.set_uncovered_digest(uncovered.digest.data(), uncovered.digest.size());
    }
    for (const Finding &finding : findings) {
        pb::FindingState &kept = *state.add_findings();
        kept.set_index(finding.index);
        kept.set_host(finding.host);
        kept.set_sequence(finding.sequence);
        kept.set_kind(finding.kind);
        kept.set_text(finding.text);
        kept.set_digest(finding.digest.data(), finding.digest.size());
        kept.set_nth(finding.nth);
    }
    return state;
}

Status restore(Examiner &examiner, const pb::VerifyState &before) {
    for (const pb::HostState &kept : before.hosts()) {
        auto read = read_attestation(view(kept.last().attestation()));
        const auto *last = std::get_if<Unverified>(&read);
        if (last == nullptr)
            continue; // walk() refuses such a state
        const pb::Statement &statement = last->opened.statement;
        HostCoverage host;
        host.attestations = kept.attestations();
        host.first_sequence = kept.first_sequence();
        host.last_sequence = statement.sequence();
        host.last_index = kept.last().index();
        host.begin_wall_ns = kept.begin_wall_ns();
        host.end_wall_ns = statement.window().end_wall_ns();
        host.boots = kept.boots();
        host.covered_ns = kept.covered_ns();
        host.uncovered_ns = kept.uncovered_ns();
        host.last_digest = last->opened.digest;
        host.uncovered = {kept.uncovered_index(), kept.uncovered_sequence(),
                          digest_of(kept.uncovered_digest())};
        host.boot_id = statement.boot_id();
        host.begin_boottime_ns = statement.window().begin_boottime_ns();
        examiner.restore(kept.host(), host);
    }
    for (const pb::FindingState &kept : before.findings())
        examiner.restore(Finding{kept.index(), kept.host(), kept.sequence(), kept.kind(),
                                 kept.text(), digest_of(kept.digest()), kept.nth()});
    for (const pb::ExplanationState &kept : before.explanations()) {
        auto read = read_explanation(view(kept.entry()));
        if (auto *breach = std::get_if<Breach>(&read))
            return Error{"state: log index " + std::to_string(kept.index()) + ": " +
                         breach->reason};
        const auto &opened = std::get<UnverifiedExplanation>(read).opened;
        std::vector<uint32_t> counts(kept.counts().begin(), kept.counts().end());
        for (uint32_t position : counts) {
            if (position >= static_cast<uint32_t>(opened.explanation.findings_size()))
                return Error{"state: log index " + std::to_string(kept.index()) +
                             ": explains fewer findings than it is said to"};
        }
        examiner.restore(kept.index(), opened, counts);
    }
    return ok();
}

} // namespace tally
