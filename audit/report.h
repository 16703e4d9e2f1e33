// Who held which accelerator, for how long: sums over a verified log. Held time is the time in
// which a workload had a device open; it is an upper bound on use and never called GPU time.
#pragma once

#include "audit/findings.h"
#include "audit/walk.h"

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace tally {

// What one tenant, or one workload without tenant, did with one device.
struct UsageRow {
    std::string host;
    std::string device; // Device.id; stable on its host
    std::string tenant; // empty: unattributed
    std::string parent;
    std::string cgroup; // of an unattributed workload
    uint64_t held_ns = 0;
    uint64_t opens = 0;
    uint64_t found = 0;   // open files that a scan found
    uint64_t windows = 0; // in which it held or opened the device
};

// Workloads hold devices side by side, so the held sums may exceed the time recorded.
struct DeviceRow {
    std::string host;
    std::string device;
    std::string model;
    uint64_t tenants_held_ns = 0;
    uint64_t unattributed_held_ns = 0;
    uint64_t recorded_ns = 0; // while the device was in the host's inventory
};

struct HostRow {
    Timeline time;
    std::set<pb::Rung> rungs;
    uint64_t longest_scan_gap_ns = 0;
};

struct Report {
    Walked log;
    std::vector<UsageRow> usage;    // by host, device, tenant
    std::vector<DeviceRow> devices; // by host, device
    std::map<std::string, HostRow> hosts;
    std::vector<Finding> findings;
};

// Verifies the log, then sums.
Result<Report> make_report(const Source &source, const Trust &trust);

std::string report_text(const Report &report);
// One line per usage row after a line of names (RFC 4180, lines end in LF). Cells are printable.
std::string report_csv(const Report &report);
std::string report_json(const Report &report);

// "scanned", "traced", "exact"; of several, joined by "+".
std::string rung_names(const std::set<pb::Rung> &rungs);

} // namespace tally
