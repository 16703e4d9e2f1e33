// What a log attests, statement by statement, for tests that hold it against what they know. The
// log is verified first, as an auditor would.
#pragma once

#include "attest/statement.pb.h"
#include "base/result.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace tally {

namespace pb = tallystick::v1;

class Lab;

struct AttestedKey {
    uint64_t cgroup_id = 0;
    std::string device; // Device.id
    auto operator<=>(const AttestedKey &) const = default;
};

// One window, its parts put together.
struct AttestedWindow {
    uint64_t begin_ns = 0; // CLOCK_BOOTTIME
    uint64_t end_ns = 0;
    uint64_t since_ns = 0;
    pb::Rung rung = pb::RUNG_UNSPECIFIED;
    uint64_t scans = 0;
    uint64_t longest_scan_gap_ns = 0;
    uint64_t reading_ns = 0;
    bool tells_occupancy = false;
    std::map<std::string, pb::Occupancy> occupancy; // by Device.id
    std::vector<std::string> imbalances;            // where it is not what the rows of usage say
    std::map<std::string, uint64_t> losses;
    std::map<AttestedKey, pb::Usage> usage;
    std::vector<std::pair<AttestedKey, pb::Work>> work; // 0 or empty: of none in particular
    std::map<std::string, std::string> sources;         // as told in it: name -> why not at work
};

struct Attested {
    std::vector<AttestedWindow> windows;

    std::map<std::string, uint64_t> losses() const;
    pb::Usage sum(const AttestedKey &key) const;             // open_files: at the end
    pb::Occupancy occupied(const std::string &device) const; // summed
    // Where open files found no room, the window counts whole.
    uint64_t held_at_most(const AttestedKey &key) const;
    uint64_t begin_ns() const { return windows.front().begin_ns; }
    uint64_t end_ns() const { return windows.back().end_ns; }
};

Result<Attested> read_attested(const Lab &lab);
// One after the other, as they stand in the log.
Result<std::vector<pb::Statement>> read_statements(const Lab &lab);

// The id of the cgroup whose directory this is.
uint64_t cgroup_id(const std::string &directory);

} // namespace tally
