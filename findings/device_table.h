// What accelerators can do, by PCI id: config/devices.toml, whose head says what its keys mean.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tally {

struct DeviceRow {
    std::string id; // "10de:2330"
    std::string vendor;
    std::string model;
    int64_t memory_gb = 0; // 0 and empty, here and below: not known
    std::string interconnect;
    // Bits of an operand -> peak dense rate of the whole device, 10^12 operations a second.
    std::map<uint32_t, double> rates;
    int64_t tpp = 0;
    int64_t die_mm2 = 0;
    std::string export_class; // "3A090.a", "3A090.b", "none"
    int64_t mig_slices = 0;   // 0: no MIG
    std::string id_source;
    std::string figures_source;
    std::string confidence; // "high", "medium", "low"
};

// What the export classes are by: printed wherever one is.
struct ExportRule {
    std::string name;
    std::string date; // "2023-10-25"
    std::string note;
};

class DeviceTable {
public:
    // The table that is built in.
    static DeviceTable shipped();
    // Errors name file and line. Strict: no unknown key, no id twice, and `tpp` is what `rates`
    // make.
    static Result<DeviceTable> load(const std::string &path);
    static Result<DeviceTable> parse(const std::string &contents, const std::string &path);

    const DeviceRow *find(std::string_view id) const; // null: not known
    std::set<std::string> ids() const;
    const std::vector<DeviceRow> &rows() const { return rows_; }
    const ExportRule &rule() const { return rule_; }

private:
    std::vector<DeviceRow> rows_;
    ExportRule rule_;
};

// The ids in a Device.pci_id: several, where functions that differ are behind one VFIO group.
std::vector<std::string> pci_ids(const std::string &pci_id);

} // namespace tally
