// What a DRM driver says of one open file's use of its device: /proc/PID/fdinfo/FD.
//
// Lines "key:<blanks>value[ unit]", Documentation/gpu/drm-usage-stats.rst. Of these we read
//   drm-driver, drm-pdev, drm-client-id
//   drm-engine-NAME: N ns           busy, summed over the engines of that name
//   drm-engine-capacity-NAME: N     how many there are; without it, one
//   drm-cycles-NAME: N              busy, in a clock of the GPU's
//   drm-total-cycles-NAME: N        that clock
//   drm-resident-REGION, drm-memory-REGION (its older name), drm-total-REGION: N [KiB|MiB]
// drm-maxfreq-NAME is not used: every driver that has it (msm, panfrost, panthor) also times in ns.
// A key that stands twice counts as it stood first; a line that is none of these, or whose number
// or unit is not as documented, is passed over.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace tally {

struct EngineUse {
    std::optional<uint64_t> busy_ns;
    std::optional<uint64_t> cycles;
    std::optional<uint64_t> total_cycles;
    std::optional<uint32_t> capacity; // 1 to 1024
};

struct Fdinfo {
    std::string driver; // empty: not a DRM file, or its driver says nothing
    std::string pdev;   // "0000:03:00.0"; empty: no PCI device
    std::optional<uint64_t> client;
    std::map<std::string, EngineUse> engines; // at most 64, by the driver's word
    // Over all regions, system memory too: resident, or created where the driver does not tell.
    uint64_t memory_bytes = 0;
};

Fdinfo parse_fdinfo(std::string_view contents);

} // namespace tally
