#include "audit/occupancy.h"

#include "attest/parties.h"
#include "base/text.h"

#include <algorithm>

namespace tally {

namespace {

constexpr uint64_t kMillisecond = 1'000'000;

uint64_t whole(uint64_t ns) {
    return (ns / kMillisecond + (ns % kMillisecond >= kMillisecond / 2 ? 1 : 0)) * kMillisecond;
}

// Rounded such that it still adds up: idle takes what the others leave.
DeviceTimes rounded(const DeviceTimes &exact) {
    DeviceTimes times = exact;
    for (uint64_t *ns : {&times.covered_ns, &times.tenants_ns, &times.services_ns,
                         &times.unattributed_ns, &times.overlap_ns, &times.not_told_ns})
        *ns = whole(*ns);
    uint64_t all = times.covered_ns;
    add_to(all, times.overlap_ns);
    uint64_t others = times.held_ns();
    add_to(others, times.not_told_ns);
    times.idle_ns = all > others ? all - others : 0;
    if (others > all)
        add_to(times.overlap_ns, others - all);
    return times;
}

} // namespace

uint64_t &DeviceTimes::held_by(const pb::Workload &workload) {
    std::string party = party_of(workload);
    return party.empty() ? unattributed_ns : is_service_name(party) ? services_ns : tenants_ns;
}

uint64_t DeviceTimes::held_ns() const {
    uint64_t sum = tenants_ns;
    add_to(sum, services_ns);
    add_to(sum, unattributed_ns);
    return sum;
}

void DeviceTimes::add(const DeviceTimes &more) {
    add_to(covered_ns, more.covered_ns);
    add_to(tenants_ns, more.tenants_ns);
    add_to(services_ns, more.services_ns);
    add_to(unattributed_ns, more.unattributed_ns);
    add_to(overlap_ns, more.overlap_ns);
    add_to(idle_ns, more.idle_ns);
    add_to(not_told_ns, more.not_told_ns);
    idle_is_upper_bound |= more.idle_is_upper_bound;
}

DeviceTimesSums::DeviceTimesSums(Question question, DeviceTimesBy by)
    : question_(std::move(question)), by_(by) {
    question_.tenant.clear();
    question_.parent.clear();
}

DeviceTimesKey DeviceTimesSums::key_of(const Entry &entry, const pb::Device &device) const {
    DeviceTimesKey key;
    if (by_.day)
        key.day = utc_time(entry.statement().window().begin_wall_ns()).substr(0, 10);
    if (by_.host)
        key.host = entry.statement().host();
    if (by_.device)
        key.device = device.id();
    if (by_.model)
        key.model = device.model();
    return key;
}

void DeviceTimesSums::begin(Window &window, const Entry &entry) const {
    const pb::Statement &statement = entry.statement();
    window = {};
    window.first_sequence = statement.sequence() - statement.part();
    window.covered_ns = covered_ns(entry);
    for (const auto &[index, device] : entry.devices) {
        if (!device.absent() && question_.covers(entry, index))
            window.devices[index] = key_of(entry, device);
    }
}

void DeviceTimesSums::add(const Entry &entry) {
    const pb::Statement &statement = entry.statement();
    if (!entry.counts() || !question_.is_in_time(statement.window()))
        return;
    bool late = entry.place.kind == Place::Kind::kLate;
    Window &window = (late ? late_ : open_)[statement.host()];
    if (window.first_sequence != statement.sequence() - statement.part()) {
        settle(window, sums_);
        begin(window, entry);
    }
    window.complete = window.balance.add(statement);
    for (const pb::Usage &usage : statement.usage()) {
        const pb::Device *device = entry.device(usage);
        if (device == nullptr || !question_.covers(entry, usage.device()))
            continue;
        window.devices.try_emplace(usage.device(), key_of(entry, *device)); // it was here
        DeviceTimes &times = window.times[usage.device()];
        add_to(times.held_by(entry.workload(usage)), usage.held_ns());
        times.idle_is_upper_bound |= held_is_lower_bound(usage);
    }
}

void DeviceTimesSums::settle(const Window &window, std::map<DeviceTimesKey, DeviceTimes> &sums) {
    for (const auto &[index, key] : window.devices) {
        auto held = window.times.find(index);
        DeviceTimes times = held == window.times.end() ? DeviceTimes() : held->second;
        auto balance = window.balance.devices().find(index);
        DeviceBalance device =
            balance == window.balance.devices().end() ? DeviceBalance() : balance->second;
        uint64_t sum = times.held_ns();
        times.covered_ns = window.covered_ns;
        // It was occupied for as long as its longest holder, and as all of them, at most; where
        // that does not tell, and the host does, the host is asked.
        uint64_t least = std::min(device.most_held_ns, times.covered_ns);
        uint64_t most = std::min(std::max(sum, least), times.covered_ns);
        if (window.complete && window.balance.tells_occupancy())
            least = most = std::clamp(device.occupied_ns, least, most);
        times.overlap_ns = sum - least;
        times.not_told_ns = most - least;
        times.idle_ns = times.covered_ns - most;
        sums[key].add(times);
    }
}

std::map<DeviceTimesKey, DeviceTimes> DeviceTimesSums::rows() const {
    std::map<DeviceTimesKey, DeviceTimes> sums = sums_;
    for (const auto *windows : {&open_, &late_}) {
        for (const auto &[host, window] : *windows)
            settle(window, sums);
    }
    for (auto &[key, times] : sums)
        times = rounded(times);
    return sums;
}

} // namespace tally
