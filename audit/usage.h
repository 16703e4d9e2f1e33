// Who held what, summed over a log: the figures of `tally report`.
#pragma once

#include "audit/occupancy.h"
#include "audit/question.h"
#include "findings/device_table.h"

#include <map>
#include <optional>
#include <set>
#include <string>

namespace tally {

// What tells two rows apart.
enum class By { kDay, kHost, kTenant, kParent, kPayer, kDevice, kModel, kWorkload };
Result<By> parse_by(const std::string &word);

// The members that a report is not by are empty. By default a tenant's rows have no cgroup: its
// workloads are summed, also where two held a device at once; without a tenant each cgroup path has
// a row. Whatever a report is by, its rows add up to the same: each use is in one of them.
struct UsageKey {
    // Tenants first, then services, then what is nobody's; only told apart by tenant, parent or
    // payer.
    enum class Of { kTenant, kService, kNobody } of = Of::kTenant;
    std::string tenant; // or "service:" and the service
    std::string parent; // whom it buys through at first
    std::string payer;  // the last of those; the tenant itself if there is none
    std::string host;
    std::string device; // Device.id
    std::string cgroup;
    std::string day; // "2026-11-23", UTC, on which a window began
    std::string model;

    auto operator<=>(const UsageKey &) const = default;
};

// What one source saw of a row's work.
struct WorkSum {
    pb::Grade grade = pb::GRADE_UNSPECIFIED;
    bool timed = false;          // some of it; else busy_ns is not known
    uint64_t busy_ns = 0;        // over all engines
    uint64_t active_seconds = 0; // of each engine and workload, summed
    std::map<std::string, uint64_t> counts;
};

struct UsageSum {
    uint64_t held_ns = 0;       // at least
    uint64_t held_upper_ns = 0; // at most: the window's length wherever files found no room
    uint64_t opens = 0;
    uint64_t found = 0;
    uint64_t releases = 0;
    uint64_t windows = 0;       // in which it appears
    uint64_t begin_wall_ns = 0; // of the first of them
    uint64_t end_wall_ns = 0;   // of the last
    uint64_t last_window = 0;   // sequence of that window's first part
    std::string last_host;
    std::map<std::string, WorkSum> work; // by source; what no source saw is not known
    double operations = 0;               // at most, by the device table, in the time held at most
    uint64_t unbounded_ns = 0;           // of that time, on devices that the table has no rates for
};

// How the windows of one rung were recorded.
struct RungSum {
    uint64_t statements = 0;
    uint64_t longest_scan_gap_ns = 0;
};

class UsageSums {
public:
    // Without `by`: tenant, parent, host, device, and for the unattributed the workload. With
    // `payers` the payer is told apart too, without being asked for.
    explicit UsageSums(Question question = {}, std::set<By> by = {}, bool payers = false);

    // Whose rates bound what can have been computed; it must outlive this.
    void bound_by(const DeviceTable &table) { table_ = &table; }

    // Also where each device's time went, by as much of the above as is the device's. Of one
    // tenant's or parent's usage there is none.
    void account_for_devices();
    const std::optional<DeviceTimesSums> &device_times() const { return device_times_; }

    // Takes a host's attestations in order.
    void add(const Entry &entry);
    // Without rows in which nothing was held, opened or found; tenants by name, then services, then
    // the unattributed.
    std::vector<std::pair<UsageKey, UsageSum>> rows() const;
    // The same, and those on which only work was seen: by nobody in particular, or without a hold.
    std::vector<std::pair<UsageKey, UsageSum>> rows_with_work() const;
    bool is_by(By what) const { return by_.contains(what); }
    bool is_default() const { return default_; }
    const std::map<int, RungSum> &rungs() const { return rungs_; }

private:
    UsageKey key_of(const Entry &entry, const pb::Workload *workload,
                    std::optional<uint32_t> device) const;
    void add_bound(UsageSum &sum, const Entry &entry, const pb::Usage &usage) const;
    void add_work(const Entry &entry);

    Question question_;
    std::set<By> by_;
    bool default_;
    bool payers_;
    const DeviceTable *table_ = nullptr;
    std::optional<DeviceTimesSums> device_times_;
    std::map<UsageKey, UsageSum> sums_;
    std::map<int, RungSum> rungs_;
};

} // namespace tally
