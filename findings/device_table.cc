#include "findings/device_table.h"

#include "base/bytes.h"
#include "base/durable.h"
#include "base/toml.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace tally {

// config/devices.toml as text, made by the Makefile.
extern const char *const kShippedDevices;

namespace {

// Rates are rounded to three or four digits before they get here.
constexpr double kRounding = 0.003;
constexpr double kFastest = 1e9; // 10^12 operations a second
constexpr int64_t kMost = 1'000'000'000;

struct Precision {
    const char *key;
    uint32_t bits;
};
constexpr Precision kPrecisions[] = {
    {"bits64", 64}, {"bits32", 32}, {"bits16", 16}, {"bits8", 8}, {"bits4", 4}};

bool is_id(std::string_view id) {
    return id.size() == 9 && id[4] == ':' &&
           id.substr(0, 4).find_first_not_of("0123456789abcdef") == std::string_view::npos &&
           id.substr(5).find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Status read_rates(TomlTable &table, DeviceRow &row) {
    for (const Precision &precision : kPrecisions) {
        double rate = 0;
        table.number(precision.key, rate, 0, kFastest);
        if (rate > 0)
            row.rates[precision.bits] = rate;
    }
    return table.finish();
}

Status read_row(TomlTable &table, DeviceRow &row) {
    for (const char *key : {"id", "vendor", "model", "id_source", "figures_source", "confidence"})
        table.required(key);
    table.string("id", row.id)
        .string("vendor", row.vendor)
        .string("model", row.model)
        .string("interconnect", row.interconnect)
        .string("export_class", row.export_class)
        .string("id_source", row.id_source)
        .string("figures_source", row.figures_source)
        .string("confidence", row.confidence)
        .integer("memory_gb", row.memory_gb, 1, kMost)
        .integer("tpp", row.tpp, 1, kMost)
        .integer("die_mm2", row.die_mm2, 1, kMost)
        .integer("mig_slices", row.mig_slices, 1, 64)
        .table("rates", [&](TomlTable &rates) { return read_rates(rates, row); });
    TALLY_TRY(table.finish());
    if (!is_id(row.id))
        return table.error("id", "must be like \"10de:2330\", lower case");
    for (const char *key : {"vendor", "model", "id_source", "figures_source"}) {
        std::string text;
        table.string(key, text);
        if (text.empty() || printable(text) != text)
            return table.error(key, "must be printable, and not empty");
    }
    if (row.confidence != "high" && row.confidence != "medium" && row.confidence != "low")
        return table.error("confidence", "must be high, medium or low");
    if (!row.export_class.empty() && row.export_class != "3A090.a" &&
        row.export_class != "3A090.b" && row.export_class != "none")
        return table.error("export_class", "must be 3A090.a, 3A090.b or none");
    double highest = 0;
    for (const auto &[bits, rate] : row.rates)
        highest = std::max(highest, bits * rate);
    auto tpp = static_cast<double>(row.tpp);
    if (std::abs(highest - tpp) > kRounding * tpp)
        return table.error("tpp", "is " + std::to_string(row.tpp) + ", but rates x bits make " +
                                      std::to_string(std::llround(highest)));
    return ok();
}

} // namespace

DeviceTable DeviceTable::shipped() {
    auto table = parse(kShippedDevices, "config/devices.toml");
    if (!table) { // no program is built with such a table, or its tests are not run
        std::fprintf(stderr, "%s\n", table.error().message.c_str());
        std::abort();
    }
    return *std::move(table);
}

Result<DeviceTable> DeviceTable::load(const std::string &path) {
    auto contents = read_text(path);
    if (!contents)
        return contents.error();
    return parse(*contents, path);
}

Result<DeviceTable> DeviceTable::parse(const std::string &contents, const std::string &path) {
    auto root = TomlTable::parse(contents, path);
    if (!root)
        return root.error();
    DeviceTable table;
    std::set<std::string> ids;
    root->required("rule")
        .table("rule",
               [&](TomlTable &rule) {
                   rule.required("name").required("date");
                   rule.string("name", table.rule_.name)
                       .string("date", table.rule_.date)
                       .string("note", table.rule_.note);
                   return rule.finish();
               })
        .tables("device", [&](TomlTable &device) -> Status {
            DeviceRow row;
            TALLY_TRY(read_row(device, row));
            if (!ids.insert(row.id).second)
                return device.error("id", row.id + " is here twice");
            table.rows_.push_back(std::move(row));
            return ok();
        });
    TALLY_TRY(root->finish());
    return table;
}

const DeviceRow *DeviceTable::find(std::string_view id) const {
    for (const DeviceRow &row : rows_) {
        if (row.id == id)
            return &row;
    }
    return nullptr;
}

std::set<std::string> DeviceTable::ids() const {
    std::set<std::string> ids;
    for (const DeviceRow &row : rows_)
        ids.insert(row.id);
    return ids;
}

std::vector<std::string> pci_ids(const std::string &pci_id) {
    std::vector<std::string> ids;
    std::string_view rest = pci_id;
    while (!rest.empty())
        ids.emplace_back(take_until(rest, '+'));
    return ids;
}

} // namespace tally
