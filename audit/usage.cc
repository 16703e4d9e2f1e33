#include "audit/usage.h"

#include "attest/parties.h"
#include "audit/compute.h"
#include "base/text.h"
#include "findings/names.h"

#include <algorithm>

namespace tally {

Result<By> parse_by(const std::string &word) {
    static const std::map<std::string, By> kWords = {
        {"day", By::kDay},       {"host", By::kHost},        {"tenant", By::kTenant},
        {"parent", By::kParent}, {"payer", By::kPayer},      {"device", By::kDevice},
        {"model", By::kModel},   {"workload", By::kWorkload}};
    auto found = kWords.find(word);
    if (found == kWords.end())
        return Error{"--by " + printable(word) +
                     ": use tenant, parent, payer, host, device, model, day or workload"};
    return found->second;
}

namespace {

uint64_t held_at_most(const Entry &entry, const pb::Usage &usage) {
    return held_is_lower_bound(usage)
               ? std::max(usage.held_ns(), length_of(entry.statement().window()))
               : usage.held_ns();
}

bool was_held(const UsageSum &sum) {
    return sum.held_upper_ns > 0 || sum.opens > 0 || sum.found > 0;
}

std::vector<std::pair<UsageKey, UsageSum>> sorted_rows(const std::map<UsageKey, UsageSum> &sums,
                                                       bool (*wanted)(const UsageSum &)) {
    std::vector<std::pair<UsageKey, UsageSum>> rows;
    for (const auto &[key, sum] : sums) {
        if (wanted(sum))
            rows.emplace_back(key, sum);
    }
    return rows;
}

} // namespace

UsageSums::UsageSums(Question question, std::set<By> by, bool payers)
    : question_(std::move(question)), by_(std::move(by)), default_(by_.empty()), payers_(payers) {
    if (default_)
        by_ = {By::kTenant, By::kParent, By::kHost, By::kDevice, By::kWorkload};
}

void UsageSums::account_for_devices() {
    if (question_.tenant.empty() && question_.parent.empty())
        device_times_.emplace(question_, DeviceTimesBy{is_by(By::kDay), is_by(By::kHost),
                                                       is_by(By::kDevice), is_by(By::kModel)});
}

UsageKey UsageSums::key_of(const Entry &entry, const pb::Workload *workload,
                           std::optional<uint32_t> device) const {
    std::string party = workload == nullptr ? "" : party_of(*workload);
    bool attributed = !party.empty();
    UsageKey key;
    if (workload != nullptr && (is_by(By::kTenant) || is_by(By::kParent) || is_by(By::kPayer)))
        key.of = !attributed              ? UsageKey::Of::kNobody
                 : is_service_name(party) ? UsageKey::Of::kService
                                          : UsageKey::Of::kTenant;
    if (key.of == UsageKey::Of::kService) {
        key.tenant = party; // whatever the report is by: it has no parent and no payer
    } else if (attributed) {
        if (is_by(By::kTenant))
            key.tenant = party;
        if (is_by(By::kParent))
            key.parent = workload->parent();
        if (is_by(By::kPayer) || payers_)
            key.payer = payer_of(*workload);
    }
    if (is_by(By::kHost))
        key.host = entry.statement().host();
    if (is_by(By::kDevice) && device)
        key.device = entry.device_id(*device);
    if (is_by(By::kWorkload) && workload != nullptr && !(default_ && attributed))
        key.cgroup = cgroup_name(*workload);
    if (is_by(By::kDay))
        key.day = utc_time(entry.statement().window().begin_wall_ns()).substr(0, 10);
    const pb::Device *held = device ? entry.device(*device) : nullptr;
    if (held != nullptr && is_by(By::kModel))
        key.model = held->model();
    return key;
}

void UsageSums::add_bound(UsageSum &sum, const Entry &entry, const pb::Usage &usage) const {
    if (table_ == nullptr)
        return;
    uint64_t held = held_at_most(entry, usage);
    const pb::Device *device = entry.device(usage);
    auto bound = device == nullptr ? std::nullopt : compute_bound(*table_, *device, held);
    if (bound)
        sum.operations += bound->operations;
    else
        add_to(sum.unbounded_ns, held);
}

void UsageSums::add_work(const Entry &entry) {
    const pb::Statement &statement = entry.statement();
    for (const pb::Work &work : statement.work()) {
        if (!question_.covers(entry, work))
            continue;
        const pb::Workload *workload =
            work.has_workload() ? &statement.workloads(static_cast<int>(work.workload())) : nullptr;
        std::optional<uint32_t> device;
        if (work.has_device())
            device = work.device();
        WorkSum &sum = sums_[key_of(entry, workload, device)].work[work.source()];
        sum.grade = work.grade();
        sum.timed |= work.has_busy_ns();
        add_to(sum.busy_ns, work.busy_ns());
        add_to(sum.active_seconds, work.active_seconds());
        for (const pb::Count &count : work.counts())
            add_to(sum.counts[count.what()], count.count());
    }
}

void UsageSums::add(const Entry &entry) {
    if (device_times_)
        device_times_->add(entry);
    if (!entry.counts())
        return; // said before
    const pb::Statement &statement = entry.statement();
    if (!question_.is_in_time(statement.window()))
        return;
    uint64_t window = statement.sequence() - statement.part();
    for (const pb::Usage &usage : statement.usage()) {
        if (!question_.covers(entry, usage))
            continue;
        UsageSum &sum = sums_[key_of(entry, &entry.workload(usage), usage.device())];
        add_to(sum.held_ns, usage.held_ns());
        add_to(sum.held_upper_ns, held_at_most(entry, usage));
        add_bound(sum, entry, usage);
        add_to(sum.opens, usage.opens());
        add_to(sum.found, usage.found());
        add_to(sum.releases, usage.releases());
        if (sum.windows == 0)
            sum.begin_wall_ns = statement.window().begin_wall_ns();
        sum.begin_wall_ns = std::min(sum.begin_wall_ns, statement.window().begin_wall_ns());
        sum.end_wall_ns = std::max(sum.end_wall_ns, statement.window().end_wall_ns());
        if (sum.windows == 0 || sum.last_window != window || sum.last_host != statement.host())
            sum.windows++;
        sum.last_window = window;
        sum.last_host = statement.host();
    }
    add_work(entry);
    RungSum &rung = rungs_[statement.recording().rung()];
    rung.statements++;
    rung.longest_scan_gap_ns =
        std::max(rung.longest_scan_gap_ns, statement.recording().longest_scan_gap_ns());
}

std::vector<std::pair<UsageKey, UsageSum>> UsageSums::rows() const {
    return sorted_rows(sums_, was_held);
}

std::vector<std::pair<UsageKey, UsageSum>> UsageSums::rows_with_work() const {
    return sorted_rows(sums_,
                       [](const UsageSum &sum) { return was_held(sum) || !sum.work.empty(); });
}

} // namespace tally
