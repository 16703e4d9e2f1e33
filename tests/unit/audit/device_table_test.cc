// The device table that is shipped, and what others are refused for.
#include "findings/device_table.h"

#include "audit/compute.h"

#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

namespace tally {
namespace {

// What the rule of October 2023 makes of a row; empty where the die's size would tell.
std::string class_by_rule(const DeviceRow &row) {
    auto tpp = static_cast<double>(row.tpp);
    if (tpp >= 4800)
        return "3A090.a";
    if (tpp > 0 && tpp < 1600)
        return "none";
    if (tpp == 0 || row.die_mm2 == 0)
        return "";
    double density = tpp / static_cast<double>(row.die_mm2);
    if (density >= 5.92)
        return "3A090.a";
    return (tpp >= 2400 && density >= 1.6) || density >= 3.2 ? "3A090.b" : "none";
}

TEST(ShippedDevices, AgreeWithTheirRule) {
    DeviceTable table = DeviceTable::shipped();
    EXPECT_GE(table.rows().size(), 60U);
    EXPECT_EQ(table.rule().date, "2023-10-25");
    for (const DeviceRow &row : table.rows()) {
        std::string by_rule = class_by_rule(row);
        if (!by_rule.empty() && !row.export_class.empty()) {
            EXPECT_EQ(row.export_class, by_rule) << row.id << " " << row.model;
        }
        EXPECT_EQ(row.tpp == 0, row.rates.empty()) << row.id;
        EXPECT_TRUE(row.mig_slices == 0 || row.vendor == "NVIDIA") << row.id;
        // Fewer bits are never slower.
        for (auto [wide, narrow] : {std::pair(16U, 8U), std::pair(8U, 4U)}) {
            if (row.rates.contains(wide) && row.rates.contains(narrow)) {
                EXPECT_LE(row.rates.at(wide), row.rates.at(narrow)) << row.id;
            }
        }
    }
}

TEST(ShippedDevices, AreTheFileInConfig) {
    auto file = DeviceTable::load("config/devices.toml");
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(file->ids(), DeviceTable::shipped().ids());
}

TEST(ShippedDevices, HaveWhatAnAuditorIsAskedAbout) {
    DeviceTable table = DeviceTable::shipped();
    for (const char *id :
         {"10de:2330", "10de:2335", "10de:2329", "10de:26b9", "10de:2901", "10de:2941", "1002:74a1",
          "1002:74b5", "8086:0bd5", "1da3:1060", "1d0f:7364"})
        EXPECT_NE(table.find(id), nullptr) << id;
    EXPECT_EQ(table.find("10de:2330")->model, "H100 SXM5 80GB");
    EXPECT_EQ(table.find("10de:ffff"), nullptr);
    EXPECT_EQ(table.find(""), nullptr);
}

constexpr const char *kRule = "[rule]\nname = 'r'\ndate = 'd'\n";
constexpr const char *kRow = "[[device]]\nid = '10de:2330'\nvendor = 'v'\nmodel = 'm'\n"
                             "id_source = 's'\nfigures_source = 's'\nconfidence = 'low'\n";

std::string complaint(const std::string &rest) {
    auto table = DeviceTable::parse(std::string(kRule) + kRow + rest, "t.toml");
    return table ? "" : table.error().message;
}

TEST(DeviceTable, MistakesHaveFileAndLine) {
    EXPECT_EQ(complaint(""), "");
    EXPECT_EQ(complaint("rates = { bits16 = 100 }\ntpp = 1600"), "");
    EXPECT_EQ(complaint("rates = { bits16 = 100 }\ntpp = 1700"),
              "t.toml:12: tpp: is 1700, but rates x bits make 1600");
    EXPECT_EQ(complaint("rates = { bits16 = 100, bits8 = 210 }\ntpp = 1600"),
              "t.toml:12: tpp: is 1600, but rates x bits make 1680");
    EXPECT_EQ(complaint("rates = { bits16 = 100 }"),
              "t.toml:4: tpp: is 0, but rates x bits make 1600");
    EXPECT_EQ(complaint("tpp = 5"), "t.toml:11: tpp: is 5, but rates x bits make 0");
    EXPECT_EQ(complaint("rates = { bits12 = 1 }"), "t.toml:11: bits12: unknown key");
    EXPECT_EQ(complaint("export_class = 'EAR99'"),
              "t.toml:11: export_class: must be 3A090.a, 3A090.b or none");
    EXPECT_EQ(complaint("memory_gb = 0"),
              "t.toml:11: memory_gb: must be a whole number from 1 to 1000000000");
    EXPECT_EQ(complaint("price = 3"), "t.toml:11: price: unknown key");
    EXPECT_EQ(complaint(kRow), "t.toml:12: id: 10de:2330 is here twice");
    for (const char *rates : {"nan", "inf", "-1", "true", "'fast'", "1e300"})
        EXPECT_TRUE(complaint("rates = { bits16 = " + std::string(rates) + " }")
                        .starts_with("t.toml:11: bits16: must be a number from"))
            << rates;
}

TEST(DeviceTable, IdsAreExact) {
    for (const char *id :
         {"10DE:2330", "0x10de:0x2330", "10de2330", "10de:233", "10de:23300", ""}) {
        auto table = DeviceTable::parse(std::string(kRule) + "[[device]]\nid = '" + id +
                                            "'\nvendor = 'v'\nmodel = 'm'\nid_source = 's'\n"
                                            "figures_source = 's'\nconfidence = 'low'\n",
                                        "t.toml");
        ASSERT_FALSE(table) << id;
        EXPECT_EQ(table.error().message, "t.toml:5: id: must be like \"10de:2330\", lower case");
    }
    EXPECT_EQ(DeviceTable::parse("", "t.toml").error().message, "t.toml:1: rule: missing");
    EXPECT_FALSE(DeviceTable::load("/no/such/table"));
    EXPECT_EQ(pci_ids("10de:2330+10de:27b8"), (std::vector<std::string>{"10de:2330", "10de:27b8"}));
    EXPECT_TRUE(pci_ids("").empty());
}

constexpr uint64_t kHour = 3'600'000'000'000;

std::optional<ComputeBound> bound(const std::string &id, pb::Device::Kind kind,
                                  uint32_t instances = 0, int addresses = 1) {
    pb::Device device;
    device.set_pci_id(id);
    device.set_kind(kind);
    device.set_instances(instances);
    for (int i = 0; i < addresses; i++)
        device.add_pci_addresses("0000:0" + std::to_string(i) + ":00.0");
    return compute_bound(DeviceTable::shipped(), device, kHour);
}

TEST(ComputeBound, OfAWholeDeviceIsItsPeakRateTimesTheTime) {
    auto h100 = bound("10de:2330", pb::Device::KIND_WHOLE);
    ASSERT_TRUE(h100);
    EXPECT_EQ(h100->bits, 8U);
    EXPECT_DOUBLE_EQ(h100->rate, 1978.9e12);
    EXPECT_DOUBLE_EQ(h100->operations, 1978.9e12 * 3600);
    EXPECT_DOUBLE_EQ(h100->operations_16bit, 989.4e12 * 3600);
    EXPECT_EQ(h100->confidence, "high");
    EXPECT_NE(h100->caveat.find("dense"), std::string::npos);
    EXPECT_EQ(bound("10de:2901", pb::Device::KIND_WHOLE)->bits, 4U);
    // An agent before kinds were told.
    EXPECT_EQ(bound("10de:2330", pb::Device::KIND_UNSPECIFIED)->operations, h100->operations);
}

TEST(ComputeBound, OfAPartIsItsShareAtMost) {
    double whole = bound("10de:2330", pb::Device::KIND_WHOLE)->operations;
    EXPECT_DOUBLE_EQ(bound("10de:2330", pb::Device::KIND_MIG_INSTANCE, 7)->operations, whole / 7);
    EXPECT_DOUBLE_EQ(bound("10de:2330", pb::Device::KIND_MIG_INSTANCE, 3)->operations,
                     whole * 5 / 7);
    EXPECT_DOUBLE_EQ(bound("10de:2330", pb::Device::KIND_MIG_INSTANCE, 1)->operations, whole);
    // More than it can have, or none told: bounded all the same.
    EXPECT_DOUBLE_EQ(bound("10de:2330", pb::Device::KIND_MIG_INSTANCE, 4000000000)->operations,
                     whole / 7);
    EXPECT_DOUBLE_EQ(bound("10de:2330", pb::Device::KIND_MIG_INSTANCE, 0)->operations, whole);
    EXPECT_EQ(bound("10de:2330", pb::Device::KIND_WHOLE, 7)->operations, 0);
    EXPECT_EQ(bound("10de:2330", pb::Device::KIND_VIRTUAL_FUNCTION)->operations, whole);

    double amd = bound("1002:74a1", pb::Device::KIND_WHOLE)->operations;
    EXPECT_DOUBLE_EQ(bound("1002:74a1", pb::Device::KIND_WHOLE, 8)->operations, amd / 8);
    EXPECT_DOUBLE_EQ(bound("1002:74a1", pb::Device::KIND_PARTITION, 8)->operations, amd / 8);
    EXPECT_EQ(bound("1002:74a1", pb::Device::KIND_SHARED)->operations, 0);
}

TEST(ComputeBound, OfAVfioGroupIsOfEachFunctionBehindIt) {
    double l4 = bound("10de:27b8", pb::Device::KIND_WHOLE)->operations;
    EXPECT_DOUBLE_EQ(bound("10de:27b8", pb::Device::KIND_WHOLE, 0, 2)->operations, 2 * l4);
    double h100 = bound("10de:2330", pb::Device::KIND_WHOLE)->operations;
    EXPECT_DOUBLE_EQ(bound("10de:27b8+10de:2330", pb::Device::KIND_WHOLE, 0, 2)->operations,
                     2 * h100);
}

TEST(ComputeBound, OfAnUnknownDeviceIsNotKnown) {
    EXPECT_FALSE(bound("10de:ffff", pb::Device::KIND_WHOLE));
    EXPECT_FALSE(bound("10de:2330+10de:ffff", pb::Device::KIND_WHOLE));
    EXPECT_FALSE(bound("", pb::Device::KIND_WHOLE));
    EXPECT_FALSE(bound("1002:74a2", pb::Device::KIND_WHOLE)); // in the table, without rates
}

} // namespace
} // namespace tally
