// Where each device's time went: tenants, services of the host's own, nobody's workloads, and idle.
// All of it is in one figure or another, so for every row, and exactly,
//
//   tenants + services + unattributed - overlap + idle + not told = covered
//
// Workloads that hold a device at once each count whole; `overlap` is what that is too much.
#pragma once

#include "attest/balance.h"
#include "audit/question.h"
#include "findings/coverage.h"

#include <compare>
#include <map>
#include <string>
#include <vector>

namespace tally {

struct DeviceTimes {
    uint64_t covered_ns = 0; // by statements of a host that had the device
    uint64_t tenants_ns = 0; // held
    uint64_t services_ns = 0;
    uint64_t unattributed_ns = 0;
    uint64_t overlap_ns = 0;
    uint64_t idle_ns = 0;     // held by nobody; at most, where files found no room
    uint64_t not_told_ns = 0; // idle or overlap: several held it, and how long anybody did was not
                              // measured, or a part of the window is not in the log
    bool idle_is_upper_bound = false;

    // The share of it that holds by this workload count for.
    uint64_t &held_by(const pb::Workload &workload);
    uint64_t held_ns() const; // all of those
    void add(const DeviceTimes &more);
};

// The members that a report is not by are empty, as in UsageKey.
struct DeviceTimesKey {
    std::string day;
    std::string host;
    std::string device;
    std::string model;
    auto operator<=>(const DeviceTimesKey &) const = default;
};

// Which of them it is by.
struct DeviceTimesBy {
    bool day = false;
    bool host = false;
    bool device = false;
    bool model = false;
};

class DeviceTimesSums {
public:
    // Of the question, the time, the host and the device count; a device's time has no tenant.
    DeviceTimesSums(Question question, DeviceTimesBy by);

    // Takes a host's attestations in order.
    void add(const Entry &entry);
    const DeviceTimesBy &by() const { return by_; }
    // In whole milliseconds: what is shown adds up, too.
    std::map<DeviceTimesKey, DeviceTimes> rows() const;

private:
    // One window of one host, while its parts are seen.
    struct Window {
        uint64_t first_sequence = 0; // of its first part; 0: none
        bool complete = false;
        uint64_t covered_ns = 0;
        WindowBalance balance;
        std::map<uint32_t, DeviceTimesKey> devices; // that the host had
        std::map<uint32_t, DeviceTimes> times;      // those that hold
    };

    DeviceTimesKey key_of(const Entry &entry, const pb::Device &device) const;
    void begin(Window &window, const Entry &entry) const;
    static void settle(const Window &window, std::map<DeviceTimesKey, DeviceTimes> &sums);

    Question question_;
    DeviceTimesBy by_;
    std::map<DeviceTimesKey, DeviceTimes> sums_;
    // By host: of those that come in order, and of those that come late.
    std::map<std::string, Window> open_, late_;
};

} // namespace tally
