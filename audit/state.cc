#include "audit/state.h"

#include "base/durable.h"

#include <algorithm>
#include <filesystem>

namespace tally {

namespace {

constexpr size_t kLargest = size_t{1} << 30;

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

pb::VerifyState StateKeeper::finish(const Checkpoint &checkpoint, const Coverage &coverage,
                                    const std::vector<Finding> &findings) const {
    pb::VerifyState state;
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
    }
    for (const Finding &finding : findings) {
        pb::FindingState &kept = *state.add_findings();
        kept.set_index(finding.index);
        kept.set_host(finding.host);
        kept.set_sequence(finding.sequence);
        kept.set_kind(finding.kind);
        kept.set_text(finding.text);
    }
    return state;
}

void restore(Examiner &examiner, const pb::VerifyState &before) {
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
        host.boot_id = statement.boot_id();
        host.begin_boottime_ns = statement.window().begin_boottime_ns();
        examiner.restore(kept.host(), host);
    }
    for (const pb::FindingState &kept : before.findings())
        examiner.restore(
            Finding{kept.index(), kept.host(), kept.sequence(), kept.kind(), kept.text()});
}

} // namespace tally
