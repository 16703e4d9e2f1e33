#include "agent/record/usage_map.h"

#include "bpf/wire.h"

#include <algorithm>
#include <bpf/bpf.h>
#include <cerrno>
#include <vector>

namespace tally {

static_assert(kAnybody == WIRE_ANYBODY);

std::optional<UsageTotals> settle(const wire_usage &raw, const UsageTotals &before, uint64_t window,
                                  uint64_t at) {
    uint64_t held = raw.open_files > 0 ? raw.held_ns + at : raw.held_ns;
    auto grown = static_cast<int64_t>(held - before.held_ns);
    auto most = static_cast<int64_t>(window);
    int64_t off = std::max<int64_t>(kSecond, (static_cast<int64_t>(at) - most) / 2);
    if (grown < -off || grown > most + off)
        return std::nullopt;
    held = before.held_ns + static_cast<uint64_t>(std::clamp<int64_t>(grown, 0, most));
    UsageTotals totals{held,           raw.opens,     raw.found,  raw.releases,
                       raw.open_files, raw.untracked, raw.late_ns};
    // Held past `at`, so still open then: the release, and the time until it, are the next
    // window's.
    if (grown > most && raw.open_files == 0 && raw.releases > before.releases) {
        totals.releases--;
        totals.open_files = 1;
    }
    return totals;
}

Result<Totals> read_usage(int map, uint64_t at_ns, const Reading &before) {
    constexpr uint32_t kBatch = 512;
    std::vector<wire_usage_key> keys(kBatch);
    std::vector<wire_usage> values(kBatch);
    std::vector<wire_usage_key> unsettled;
    Totals totals;
    uint64_t position = 0;
    bool first = true;
    bool more = true;

    auto settled = [&](const wire_usage_key &raw_key, const wire_usage &raw) {
        UsageKey key{raw_key.workload, raw_key.device};
        auto earlier = before.totals.find(key);
        auto settled = settle(raw, earlier == before.totals.end() ? UsageTotals{} : earlier->second,
                              at_ns - before.boottime_ns, at_ns);
        if (settled)
            totals[key] = *settled;
        return settled.has_value();
    };
    while (more) {
        uint32_t count = kBatch;
        if (bpf_map_lookup_batch(map, first ? nullptr : &position, &position, keys.data(),
                                 values.data(), &count, nullptr) != 0) {
            if (errno != ENOENT)
                return errno_error("read the usage map");
            more = false;
        }
        first = false;
        for (uint32_t i = 0; i < count; i++) {
            if (!settled(keys[i], values[i]))
                unsettled.push_back(keys[i]);
        }
    }
    for (const wire_usage_key &key : unsettled) {
        wire_usage raw = {};
        int attempts = 1000;
        do {
            if (bpf_map_lookup_elem(map, &key, &raw) != 0)
                return errno_error("read a usage entry again");
            if (attempts-- == 0)
                return Error{"usage of workload " + std::to_string(key.workload) +
                             " does not settle: the kernel's totals are not to be believed"};
        } while (!settled(key, raw));
    }
    return totals;
}

Status forget_idle(int map, Totals &totals, const Totals &before, const std::set<UsageKey> &keep) {
    for (auto entry = totals.begin(); entry != totals.end();) {
        const auto &[key, now] = *entry;
        auto earlier = before.find(key);
        bool idle = now.open_files == 0 && earlier != before.end() && earlier->second == now &&
                    !keep.contains(key);
        wire_usage_key raw_key = {key.workload, key.device, 0};
        wire_usage last = {};
        if (!idle || bpf_map_lookup_and_delete_elem(map, &raw_key, &last) != 0) {
            ++entry;
            continue;
        }
        if (last.opens == now.opens && last.found == now.found) {
            entry = totals.erase(entry);
            continue;
        }
        if (bpf_map_update_elem(map, &raw_key, &last, BPF_NOEXIST) != 0)
            return errno_error("put a usage entry back");
        ++entry;
    }
    return ok();
}

} // namespace tally
