#include "audit/report.h"

#include "audit/units.h"

namespace tally {

namespace {

using UsageKey = std::tuple<std::string, std::string, std::string, std::string, std::string>;

class Sums {
public:
    void add(const Entry &entry) {
        findings_.add(entry);
        const pb::Statement &statement = entry.opened.statement;
        Host &host = hosts_[statement.host()];
        host.rungs.insert(statement.recording().rung());
        host.longest_scan_gap_ns =
            std::max(host.longest_scan_gap_ns, statement.recording().longest_scan_gap_ns());
        if (statement.part() == 0)
            begin_window(entry);
        for (const pb::Usage &usage : statement.usage())
            add_usage(entry, usage);
    }

    Report finish(const Walked &walked) {
        Report report;
        report.log = walked;
        for (auto &[key, use] : usage_)
            report.usage.push_back(std::move(use.row));
        for (auto &[key, row] : devices_)
            report.devices.push_back(std::move(row));
        for (const auto &[name, timeline] : findings_.hosts()) {
            Host &host = hosts_[name];
            report.hosts[name] = {timeline, host.rungs, host.longest_scan_gap_ns};
        }
        report.findings = findings_.list();
        return report;
    }

private:
    struct Host {
        std::set<pb::Rung> rungs;
        uint64_t longest_scan_gap_ns = 0;
    };
    struct Use {
        UsageRow row;
        uint64_t last_window = 0; // a window counts once, however many of its rows it has
    };

    void begin_window(const Entry &entry) {
        const std::string &host = entry.opened.statement.host();
        for (const auto &[index, device] : entry.devices) {
            DeviceRow &row = devices_[{host, device.id()}];
            row.host = host;
            row.device = device.id();
            row.model = device.model();
            row.recorded_ns = saturating_add(row.recorded_ns, recorded_ns(entry.opened.statement));
        }
    }

    void add_usage(const Entry &entry, const pb::Usage &usage) {
        const pb::Statement &statement = entry.opened.statement;
        const pb::Workload &workload = statement.workloads(static_cast<int>(usage.workload()));
        const std::string &device = entry.devices.at(usage.device()).id();
        bool attributed = !workload.tenant().empty();
        std::string cgroup = attributed ? "" : cgroup_name(workload);
        Use &use = usage_[{statement.host(), device, workload.tenant(), workload.parent(), cgroup}];
        use.row.host = statement.host();
        use.row.device = device;
        use.row.tenant = workload.tenant();
        use.row.parent = workload.parent();
        use.row.cgroup = cgroup;
        use.row.held_ns = saturating_add(use.row.held_ns, usage.held_ns());
        use.row.opens = saturating_add(use.row.opens, usage.opens());
        use.row.found = saturating_add(use.row.found, usage.found());
        uint64_t window = findings_.hosts().at(statement.host()).windows();
        use.row.windows += use.last_window == window ? 0 : 1;
        use.last_window = window;
        DeviceRow &total = devices_[{statement.host(), device}];
        uint64_t &held = attributed ? total.tenants_held_ns : total.unattributed_held_ns;
        held = saturating_add(held, usage.held_ns());
    }

    Findings findings_;
    std::map<UsageKey, Use> usage_;
    std::map<std::pair<std::string, std::string>, DeviceRow> devices_;
    std::map<std::string, Host> hosts_;
};

} // namespace

Result<Report> make_report(const Source &source, const Trust &trust) {
    Sums sums;
    auto walked = walk(source, trust, [&](const Entry &entry) { sums.add(entry); });
    if (!walked)
        return walked.error();
    return sums.finish(*walked);
}

std::string rung_names(const std::set<pb::Rung> &rungs) {
    std::string names;
    for (pb::Rung rung : rungs) {
        names += names.empty() ? "" : "+";
        names += rung == pb::RUNG_SCANNED  ? "scanned"
                 : rung == pb::RUNG_TRACED ? "traced"
                 : rung == pb::RUNG_EXACT  ? "exact"
                                           : "unknown";
    }
    return names;
}

} // namespace tally
