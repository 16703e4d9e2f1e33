// What the collector remembers of each host: where its chain stands, and the names of its devices.
// Derived from the log; kept in memory, and in the index so that a start need not read the log.
#pragma once

#include "attest/explain.h"
#include "attest/rules.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace tally {

struct KnownDevice {
    std::string id;
    std::string model;
    bool operator==(const KnownDevice &) const = default;
};

struct HostState {
    ChainHead head;
    std::map<uint32_t, KnownDevice> devices; // by index, of the last inventory
    bool new_inventory = false;              // since the index was told of this host
};

using Hosts = std::unordered_map<std::string, HostState>;

// The state after a statement that the log holds.
void follow(HostState &state, const pb::Statement &statement, const Digest &digest,
            const Bytes &signing_key);

// One entry of the log as the index lists it.
struct IndexRow {
    struct Use {
        std::string tenant; // or service; empty: unattributed
        std::string parent;
        std::string device; // Device.id
        std::string model;
        uint64_t held_ns = 0;
    };
    uint64_t log_index = 0;
    std::string host;
    uint64_t sequence = 0;
    uint64_t begin_wall_ns = 0;
    uint64_t end_wall_ns = 0;
    uint64_t begin_boottime_ns = 0;
    uint64_t end_boottime_ns = 0;
    // Of the window, counted with its first part: its length, and how much of it was recorded.
    uint64_t attested_ns = 0;
    uint64_t covered_ns = 0;
    std::vector<Use> usage;
    // Its digest, of a second attestation with its sequence: it counts for nothing else.
    std::optional<Digest> fork;
    // An explanation, which is no host's: only its place counts of the above.
    std::optional<OpenedExplanation> explanation;
};

// `state` is the host's after this statement.
IndexRow index_row(uint64_t log_index, const pb::Statement &statement, const HostState &state);
IndexRow explanation_row(uint64_t log_index, const OpenedExplanation &said);
IndexRow fork_row(uint64_t log_index, const pb::Statement &statement, const Digest &digest);

} // namespace tally
