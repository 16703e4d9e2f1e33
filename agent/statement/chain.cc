#include "agent/statement/chain.h"

#include "base/durable.h"

namespace tally {

Result<std::unique_ptr<Chain>> Chain::open(const std::string &state_directory, uint64_t spool_bytes,
                                           Signer signer) {
    auto spool = Spool::open(state_directory + "/spool", spool_bytes);
    if (!spool)
        return spool.error();
    std::unique_ptr<Chain> chain(
        new Chain(state_directory + "/baseline", std::move(*spool), std::move(signer)));
    if (auto resumed = chain->resume(); !resumed)
        return Error{"state directory " + state_directory + ": " + resumed.error().message};
    return chain;
}

Status Chain::resume() {
    auto bytes = read_file(baseline_path_);
    pb::Baseline baseline;
    if (!bytes || !baseline.ParseFromArray(bytes->data(), static_cast<int>(bytes->size())) ||
        baseline.boot_id() != signer_.boot_id())
        baseline.Clear();
    std::set<uint32_t> devices;
    for (const pb::Device &device : baseline.devices())
        devices.insert(device.index());
    if (spool_.last_sequence() > 0) {
        auto last = spool_.read(spool_.last_sequence());
        if (!last)
            return last.error();
        TALLY_TRY(signer_.resume(*last, devices));
    }
    if (baseline.boot_id().empty())
        return ok();
    // Of another chain, or of one whose end was lost: nothing to build on.
    uint64_t last = baseline.first_sequence() + static_cast<uint64_t>(baseline.statements_size());
    if (head().sequence + 1 < baseline.first_sequence() || head().sequence >= last)
        return ok();
    for (pb::Statement &statement : *baseline.mutable_statements()) {
        if (baseline.first_sequence() == head().sequence + 1)
            TALLY_TRY(append_one(std::move(statement)));
        baseline.set_first_sequence(baseline.first_sequence() + 1);
    }
    baseline.clear_statements();
    baseline_ = std::move(baseline);
    return ok();
}

Status Chain::append(std::vector<pb::Statement> statements, pb::Baseline after) {
    after.set_boot_id(signer_.boot_id());
    after.set_first_sequence(head().sequence + 1);
    for (pb::Statement &statement : statements)
        *after.add_statements() = std::move(statement);
    TALLY_TRY(replace_file(baseline_path_, view(after.SerializeAsString()), 0600));
    for (pb::Statement &statement : *after.mutable_statements())
        TALLY_TRY(append_one(std::move(statement)));
    return ok();
}

Status Chain::append_one(pb::Statement statement) {
    auto attestation = signer_.seal(statement);
    if (!attestation)
        return attestation.error();
    TALLY_TRY(spool_.append(statement.sequence(), *attestation));
    signer_.accept(statement, *attestation);
    return ok();
}

void put_totals(pb::Baseline &baseline, const Snapshot &snapshot) {
    baseline.set_boottime_ns(snapshot.at.boottime_ns);
    baseline.set_wall_ns(snapshot.at.wall_ns);
    baseline.set_reading_ns(snapshot.reading_ns);
    for (const auto &[key, totals] : snapshot.usage) {
        pb::Total &out = *baseline.add_totals();
        out.set_cgroup_id(key.workload);
        out.set_device(key.device);
        out.set_held_ns(totals.held_ns);
        out.set_opens(totals.opens);
        out.set_found(totals.found);
        out.set_releases(totals.releases);
        out.set_open_files(totals.open_files);
        out.set_untracked(totals.untracked);
        out.set_late_ns(totals.late_ns);
    }
    for (const auto &[place, count] : snapshot.losses) {
        pb::Loss &out = *baseline.add_losses();
        out.set_place(place);
        out.set_count(count);
    }
}

Snapshot totals_of(const pb::Baseline &baseline) {
    Snapshot snapshot;
    snapshot.at = {baseline.boottime_ns(), baseline.wall_ns()};
    snapshot.reading_ns = baseline.reading_ns();
    for (const pb::Total &total : baseline.totals())
        snapshot.usage[{total.cgroup_id(), total.device()}] = {
            total.held_ns(),    total.opens(),     total.found(),  total.releases(),
            total.open_files(), total.untracked(), total.late_ns()};
    for (const pb::Loss &loss : baseline.losses())
        snapshot.losses[loss.place()] = loss.count();
    return snapshot;
}

} // namespace tally
