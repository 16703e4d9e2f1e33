#include "tests/system/attested.h"

#include "attest/balance.h"
#include "audit/walk.h"
#include "tests/system/lab.h"

#include <sys/stat.h>

namespace tally {

std::map<std::string, uint64_t> Attested::losses() const {
    std::map<std::string, uint64_t> sums;
    for (const AttestedWindow &window : windows) {
        for (const auto &[place, count] : window.losses)
            sums[place] += count;
    }
    return sums;
}

pb::Usage Attested::sum(const AttestedKey &key) const {
    pb::Usage sum;
    for (const AttestedWindow &window : windows) {
        auto row = window.usage.find(key);
        sum.set_open_files(0); // a row that is left out holds nothing
        if (row == window.usage.end())
            continue;
        const pb::Usage &usage = row->second;
        sum.set_held_ns(sum.held_ns() + usage.held_ns());
        sum.set_opens(sum.opens() + usage.opens());
        sum.set_found(sum.found() + usage.found());
        sum.set_releases(sum.releases() + usage.releases());
        sum.set_open_files(usage.open_files());
    }
    return sum;
}

pb::Occupancy Attested::occupied(const std::string &device) const {
    pb::Occupancy sum;
    for (const AttestedWindow &window : windows) {
        auto row = window.occupancy.find(device);
        if (row == window.occupancy.end())
            continue;
        sum.set_occupied_ns(sum.occupied_ns() + row->second.occupied_ns());
        sum.set_late_ns(sum.late_ns() + row->second.late_ns());
    }
    return sum;
}

uint64_t Attested::held_at_most(const AttestedKey &key) const {
    uint64_t most = 0;
    for (const AttestedWindow &window : windows) {
        auto row = window.usage.find(key);
        if (row != window.usage.end())
            most += held_is_lower_bound(row->second) ? window.end_ns - window.begin_ns
                                                     : row->second.held_ns();
    }
    return most;
}

namespace {
Status walk_log(const Lab &lab, const Visit &visit) {
    auto trust = Trust::load(lab.keys() + "/log.vkeys", lab.keys() + "/fleet-ca.pem");
    if (!trust)
        return trust.error();
    auto source = Source::open(lab.log());
    if (!source)
        return source.error();
    TALLY_TRY(walk(*source, *trust, visit));
    return ok();
}
} // namespace

Result<std::vector<pb::Statement>> read_statements(const Lab &lab) {
    std::vector<pb::Statement> statements;
    TALLY_TRY(walk_log(lab, [&](const Entry &entry) { statements.push_back(entry.statement()); }));
    return statements;
}

Result<Attested> read_attested(const Lab &lab) {
    Attested attested;
    WindowBalance balance;
    TALLY_TRY(walk_log(lab, [&](const Entry &entry) {
        const pb::Statement &statement = entry.statement();
        if (statement.part() == 0) {
            AttestedWindow &window = attested.windows.emplace_back();
            window.begin_ns = statement.window().begin_boottime_ns();
            window.end_ns = statement.window().end_boottime_ns();
            window.since_ns = statement.recording().since_boottime_ns();
            window.rung = statement.recording().rung();
            window.scans = statement.recording().scans();
            window.longest_scan_gap_ns = statement.recording().longest_scan_gap_ns();
            window.reading_ns = statement.recording().reading_ns();
            window.tells_occupancy = statement.recording().tells_occupancy();
        }
        AttestedWindow &window = attested.windows.back();
        for (const pb::Loss &loss : statement.recording().losses())
            window.losses[loss.place()] += loss.count();
        for (const pb::SourceState &source : statement.recording().sources())
            window.sources[source.name()] = source.reason();
        for (const pb::Work &work : statement.work()) {
            int workload = static_cast<int>(work.workload());
            window.work.push_back(
                {{work.has_workload() ? statement.workloads(workload).cgroup_id() : 0,
                  work.has_device() ? entry.device_id(work.device()) : ""},
                 work});
        }
        for (const pb::Usage &usage : statement.usage()) {
            const pb::Workload &workload = statement.workloads(static_cast<int>(usage.workload()));
            window.usage[{workload.cgroup_id(), entry.device_id(usage)}] = usage;
        }
        for (const pb::Occupancy &occupancy : statement.occupancy())
            window.occupancy[entry.device_id(occupancy.device())] = occupancy;
        if (!balance.add(statement))
            return;
        for (const Imbalance &imbalance : balance.imbalances())
            window.imbalances.push_back(entry.device_id(imbalance.device) + " was " +
                                        imbalance.what);
    }));
    if (attested.windows.empty())
        return Error{"the log is empty"};
    return attested;
}

uint64_t cgroup_id(const std::string &directory) {
    struct stat status = {};
    return stat(directory.c_str(), &status) == 0 ? status.st_ino : 0; // kernfs, 64 bit
}

} // namespace tally
