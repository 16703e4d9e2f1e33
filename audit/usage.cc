#include "audit/usage.h"

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

UsageSums::UsageSums(Question question, std::set<By> by, bool payers)
    : question_(std::move(question)), by_(std::move(by)), default_(by_.empty()), payers_(payers) {
    if (default_)
        by_ = {By::kTenant, By::kParent, By::kHost, By::kDevice, By::kWorkload};
}

UsageKey UsageSums::key_of(const Entry &entry, const pb::Usage &usage) const {
    const pb::Workload &workload = entry.workload(usage);
    bool attributed = !workload.tenant().empty();
    UsageKey key;
    key.unattributed =
        !attributed && (is_by(By::kTenant) || is_by(By::kParent) || is_by(By::kPayer));
    if (is_by(By::kTenant))
        key.tenant = workload.tenant();
    if (is_by(By::kParent) && attributed)
        key.parent = workload.parent();
    if ((is_by(By::kPayer) || payers_) && attributed)
        key.payer = payer_of(workload);
    if (is_by(By::kHost))
        key.host = entry.statement().host();
    if (is_by(By::kDevice))
        key.device = entry.device_id(usage);
    if (is_by(By::kWorkload) && !(default_ && attributed))
        key.cgroup = cgroup_name(workload);
    if (is_by(By::kDay))
        key.day = utc_time(entry.statement().window().begin_wall_ns()).substr(0, 10);
    if (const pb::Device *device = entry.device(usage); device != nullptr && is_by(By::kModel))
        key.model = device->model();
    return key;
}

void UsageSums::add(const Entry &entry) {
    if (!entry.counts())
        return; // said before
    const pb::Statement &statement = entry.statement();
    if (!question_.is_in_time(statement.window()))
        return;
    uint64_t window = statement.sequence() - statement.part();
    for (const pb::Usage &usage : statement.usage()) {
        if (!question_.covers(entry, usage))
            continue;
        UsageSum &sum = sums_[key_of(entry, usage)];
        add_to(sum.held_ns, usage.held_ns());
        add_to(sum.held_upper_ns, held_is_lower_bound(usage)
                                      ? std::max(usage.held_ns(), length_of(statement.window()))
                                      : usage.held_ns());
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
    RungSum &rung = rungs_[statement.recording().rung()];
    rung.statements++;
    rung.longest_scan_gap_ns =
        std::max(rung.longest_scan_gap_ns, statement.recording().longest_scan_gap_ns());
}

std::vector<std::pair<UsageKey, UsageSum>> UsageSums::rows() const {
    std::vector<std::pair<UsageKey, UsageSum>> rows;
    for (const auto &[key, sum] : sums_) {
        if (sum.held_upper_ns > 0 || sum.opens > 0 || sum.found > 0)
            rows.emplace_back(key, sum);
    }
    std::stable_partition(rows.begin(), rows.end(),
                          [](const auto &row) { return !row.first.unattributed; });
    return rows;
}

} // namespace tally
