#include "tests/system/storm/evidence.h"

#include <cstdio>
#include <set>

namespace tally::storm {

namespace {

std::string seconds(uint64_t ns) {
    char text[32];
    std::snprintf(text, sizeof(text), "%.6f", static_cast<double>(ns) / 1e9);
    return text;
}

std::string range(const Edge &edge) {
    return seconds(edge.earliest) + ".." + seconds(edge.latest);
}

std::string describe(const Stay &stay) {
    static constexpr const char *kOrigins[] = {"opened", "passed", "inherited"};
    return "  file " + std::to_string(stay.file) + ": workload-" + std::to_string(stay.cgroup) +
           ", process " + std::to_string(stay.actor) + " " + (stay.certain ? "" : "perhaps ") +
           kOrigins[static_cast<int>(stay.origin)] + " " + range(stay.begin) + ", until " +
           range(stay.end) + "\n";
}

} // namespace

std::string evidence(const History &history, const Bounds &bounds, const Attested &attested,
                     const AttestedKey &key, uint16_t cgroup, uint8_t device) {
    std::set<uint32_t> files;
    for (const Stay &stay : history.stays) {
        if (stay.cgroup == cgroup && stay.device == device)
            files.insert(stay.file);
    }
    std::string text = "evidence for workload-" + std::to_string(cgroup) + ", its files wherever " +
                       "they were, in seconds of CLOCK_BOOTTIME:\n";
    for (const Stay &stay : history.stays) {
        if (files.contains(stay.file))
            text += describe(stay);
    }
    for (const Flight &flight : history.flights) {
        if (files.contains(flight.file))
            text += "  file " + std::to_string(flight.file) + ": in flight " + range(flight.begin) +
                    ", until " + range(flight.end) + "\n";
    }
    for (const AttestedWindow &window : attested.windows) {
        auto row = window.usage.find(key);
        pb::Usage usage = row == window.usage.end() ? pb::Usage() : row->second;
        text += "  window " + seconds(window.begin_ns) + " to " + seconds(window.end_ns) + ", " +
                std::to_string(window.scans) + " scans, longest gap " +
                seconds(window.longest_scan_gap_ns) + ", read within " +
                seconds(window.reading_ns) + ": held " + seconds(usage.held_ns()) + " (may be " +
                seconds(bounds.least.length(window.begin_ns, window.end_ns)) + " to " +
                seconds(bounds.most.length(window.begin_ns, window.end_ns)) + "), opens " +
                std::to_string(usage.opens()) + ", found " + std::to_string(usage.found()) +
                ", releases " + std::to_string(usage.releases()) + ", open at the end " +
                std::to_string(usage.open_files()) + "\n";
    }
    return text;
}

} // namespace tally::storm
