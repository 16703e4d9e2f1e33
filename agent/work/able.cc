#include "agent/work/able.h"

#include "agent/clock.h"
#include "agent/record/map_keys.h"

#include <algorithm>
#include <bpf/bpf.h>
#include <filesystem>
#include <utility>

namespace tally {

namespace {

template <typename Key, typename Value> std::vector<std::pair<Key, Value>> entries_of(int map) {
    std::vector<std::pair<Key, Value>> entries;
    for (const Key &each : map_keys<Key>(map)) {
        Value value = {};
        if (bpf_map_lookup_elem(map, &each, &value) == 0)
            entries.emplace_back(each, value);
    }
    return entries;
}

// The only device that a process holds. A MIG instance comes with its GPU.
std::optional<uint32_t> only_one(std::set<uint32_t> held,
                                 const std::map<uint32_t, Device> &devices) {
    std::set<std::string> parents;
    for (uint32_t device : held)
        parents.insert(devices.at(device).parent);
    std::erase_if(held, [&](uint32_t device) { return parents.contains(devices.at(device).id); });
    return held.size() == 1 ? std::optional(*held.begin()) : std::nullopt;
}

} // namespace

void AbleSource::look(const Look &look) {
    if (!prepare(look))
        return;
    if (hooks_->attached()) {
        places_ = find_places(look);
        collect(look.boottime_ns, /*all_end=*/false);
    }
    see_holders(look);
    if (holders_.empty())
        let_go(look.boottime_ns);
    else if (!hooks_->attached())
        attach(look.boottime_ns);
}

// Loaded as soon as there is such a device: when one is opened, attaching must not take long.
bool AbleSource::prepare(const Look &look) {
    if (!has_ioctl_hooks(look.rung)) {
        absence_ = "rung " + rung_name(look.rung) +
                   ": no hook on ioctl but one that slows every system call of the machine";
        return false;
    }
    control_ = find_control();
    bool any = false;
    std::string refused;
    for (const auto &[index, device] : look.devices) {
        if (device.absent || !concerns(device))
            continue;
        any = true;
        if (refused.empty())
            refused = objection(device);
    }
    if (!refused.empty()) {
        absence_ = refused;
        let_go(look.boottime_ns);
        return false;
    }
    if (tried_ || !any)
        return hooks_.has_value();
    tried_ = true; // what this kernel refuses once it refuses always, and trying is dear
    auto hooks = IoctlHooks::load(elf_, look.rung);
    absence_ = hooks ? "" : hooks.error().message;
    if (hooks)
        hooks_ = std::move(*hooks);
    return hooks_.has_value();
}

void AbleSource::attach(uint64_t boottime_ns) {
    if (!control_) {
        absence_ = "the driver has no control file on this host";
        return;
    }
    Status attached = hooks_->attach(*control_);
    absence_ = attached ? "" : attached.error().message;
    attached_ns_ = collected_ns_ = boottime_ns;
}

// Nobody holds such a device: the hooks go, and cost nothing.
void AbleSource::let_go(uint64_t boottime_ns) {
    if (!hooks_ || !hooks_->attached())
        return;
    hooks_->detach();
    collect(boottime_ns, /*all_end=*/true);
    carried_.clear();
}

void AbleSource::see_holders(const Look &look) {
    std::map<Process, std::set<uint32_t>> found; // what of it may be meant
    for (const wire_holding &holding : look.holdings) {
        auto device = look.devices.find(holding.device);
        if (device != look.devices.end() && concerns(device->second))
            found[{holding.workload, holding.process}];
    }
    for (const wire_holding &holding : look.holdings) {
        auto device = look.devices.find(holding.device);
        auto holder = found.find({holding.workload, holding.process});
        if (device != look.devices.end() && holder != found.end() && may_be_meant(device->second))
            holder->second.insert(holding.device);
    }
    std::error_code none;
    std::erase_if(found, [&](const auto &each) {
        return !std::filesystem::exists(proc_ + "/" + std::to_string(each.first.process), none);
    });
    for (auto holder = holders_.begin(); holder != holders_.end();) {
        if (found.contains(holder->first)) {
            ++holder;
            continue;
        }
        tell_time(holder->first, holder->second, look.boottime_ns);
        holder = holders_.erase(holder);
    }
    std::erase_if(able_ns_, [&](const auto &each) { return !holders_.contains(each.first); });
    // A scan that began before the hooks were there may have missed a holder that they missed, too.
    bool observed = hooks_->attached() && look.boottime_ns >= attached_ns_ + kSecond;
    for (const auto &[process, devices] : found) {
        auto [holder, fresh] = holders_.try_emplace(process);
        if (fresh)
            holder->second = {.told_ns = look.boottime_ns, .observed = observed};
        holder->second.device = only_one(devices, look.devices);
    }
}

WorkRows AbleSource::take(uint64_t boottime_ns) {
    if (hooks_ && hooks_->attached()) {
        collect(boottime_ns, /*all_end=*/false);
        for (auto &[process, holder] : holders_)
            tell_time(process, holder, boottime_ns);
    }
    return std::exchange(rows_, {});
}

// What the kernel counted since the last time. `all_end`: nobody holds a device any more.
void AbleSource::collect(uint64_t boottime_ns, bool all_end) {
    std::set<Place> gone;
    std::map<Process, uint64_t> able;
    std::error_code none;
    for (const auto &[key, now] : entries_of<work_able_key, work_able>(hooks_->map("able"))) {
        Place place{{key.workload, key.process}, key.place};
        bool ends =
            all_end || !std::filesystem::exists(proc_ + "/" + std::to_string(key.process), none);
        uint64_t &most = able[place.first]; // with several places: in any of them
        most = std::max(most, take_entry(place, now, ends, boottime_ns));
        if (!ends)
            continue;
        gone.insert(place);
        taken_.erase(place);
        bpf_map_delete_elem(hooks_->map("able"), &key);
    }
    for (const auto &[process, ns] : able)
        able_ns_[process] += ns;
    if (!gone.empty())
        forget_objects(gone);
    collected_ns_ = boottime_ns;
    uint32_t only = 0;
    uint64_t lost = 0;
    if (bpf_map_lookup_elem(hooks_->map("lost"), &only, &lost) == 0 && lost > 0)
        absence_ =
            "the kernel's maps were full: some " + std::string(words_.things) + " were not counted";
}

// How long of the time since the last look it had any.
uint64_t AbleSource::take_entry(const Place &place, const work_able &now, bool gone,
                                uint64_t boottime_ns) {
    work_able &before = taken_[place];
    WorkKey row = row_of(place);
    WorkFigures &figures = rows_[row];
    figures.active_seconds +=
        static_cast<uint32_t>(now.all.active_seconds - before.all.active_seconds);
    std::string things = words_.things;
    auto count = [&](work_able_count what, const std::string &word) {
        figures.counts[word] += now.counts[what] - before.counts[what];
    };
    count(WORK_ABLE_CREATED, words_.created);
    count(WORK_ABLE_CREATED_OTHER, words_.created_other);
    count(WORK_ABLE_DESTROYED, things + " destroyed");
    count(WORK_ABLE_REFUSED, things + " refused");
    count(WORK_ABLE_UNKNOWN, "requests of unknown size");
    count(WORK_ABLE_UNREAD, "requests not read");
    if (gone)
        figures.counts[things + " left to the process's end"] += now.there;
    if (now.counts[WORK_ABLE_UNKNOWN] > before.counts[WORK_ABLE_UNKNOWN])
        absence_ = "structures of " + std::to_string(now.unknown_size) +
                   " bytes are not known, and were not counted: another version of the driver?";

    uint64_t told = before.able_ns;
    before = now;
    before.able_ns = told + new_able_ns(now, told, boottime_ns);
    tell(row, kWith, before.able_ns - told);
    return before.able_ns - told;
}

// An entry may be read in the middle of a change: too much or too little is put right next time.
uint64_t AbleSource::new_able_ns(const work_able &now, uint64_t told, uint64_t boottime_ns) const {
    auto more = static_cast<int64_t>(now.able_ns + (now.there > 0 ? boottime_ns : 0) - told);
    return more <= 0 ? 0 : std::min<uint64_t>(more, boottime_ns - collected_ns_);
}

void AbleSource::forget_objects(const std::set<Place> &gone) {
    int map = hooks_->map("objects");
    for (const auto &[key, object] : entries_of<work_object_key, work_object>(map)) {
        const work_able_key &owner = object.owner;
        if (gone.contains({{owner.workload, owner.process}, owner.place}))
            bpf_map_delete_elem(map, &key);
    }
}

// What is not known to be with is without, if it can be known.
void AbleSource::tell_time(const Process &process, Holder &holder, uint64_t boottime_ns) {
    uint64_t length = boottime_ns - std::exchange(holder.told_ns, boottime_ns);
    uint64_t able = std::min(length, std::exchange(able_ns_[process], 0));
    tell({process.workload, holder.device, ""}, holder.observed ? kWithout : kUnknown,
         length - able);
}

void AbleSource::tell(const WorkKey &key, Time which, uint64_t ns) {
    static constexpr std::array<const char *, kTimes> kWords = {"with ", "without ", "unknown "};
    uint64_t &carried = carried_[key][which];
    carried += ns;
    if (carried >= kSecond)
        rows_[key].counts["process-seconds " + std::string(kWords[which]) + words_.things] +=
            carried / kSecond;
    carried %= kSecond;
}

WorkKey AbleSource::row_of(const Place &place) const {
    auto at = places_.find(place.second);
    if (at != places_.end())
        return {place.first.workload, at->second, ""};
    auto holder = holders_.find(place.first);
    return {place.first.workload, holder == holders_.end() ? std::nullopt : holder->second.device,
            ""};
}

} // namespace tally
