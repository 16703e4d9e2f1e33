// One verified attestation as the rules see it: what was said, where it lies in the log, and where
// it stands in its host's chain.
#pragma once

#include "attest/admit.h"

#include <cstdint>
#include <map>
#include <string>

namespace tally {

using Devices = std::map<uint32_t, pb::Device>; // by Device.index

// How a statement stands to those of its host that the log held before it.
struct Place {
    enum class Kind {
        kNext,   // the first with its sequence: figures count it
        kReplay, // the very bytes of an earlier entry
        kFork,   // other bytes with a sequence that the log held already
        kLate,   // its sequence was missing before: figures count it, no rule but order judges it
    };
    Kind kind = Kind::kNext;
    bool earlier_known = false; // of a replay or fork: at `earlier_index` in the log
    uint64_t earlier_index = 0;

    // The rest only for kNext.
    uint64_t missing_first = 0; // sequences that the log lacks before this one; 0 if none
    uint64_t missing_last = 0;
    bool other_previous = false; // names another attestation before it than the log's
    uint64_t previous_index = 0; // the log's
    std::string does_not_follow; // why its window does not follow the one before; else empty
    uint64_t told_twice_ns = 0;  // time of this boot that an earlier window told already
    uint64_t skipped_ns = 0;     // time of this boot between the windows
    bool no_inventory = false;   // though it is the first of its boot
    std::string earlier_key;     // hex SHA-256 of the key so far, if another one signed this
};

// References hold during the visit.
struct Entry {
    uint64_t index; // in the log
    const Opened &opened;
    const Devices &devices; // the host's inventory as of this statement
    const Place &place;
    ByteView bytes = {}; // the attestation, where the log is at hand

    bool counts() const {
        return place.kind == Place::Kind::kNext || place.kind == Place::Kind::kLate;
    }
    const pb::Statement &statement() const { return opened.statement; }
    const pb::Device *device(const pb::Usage &usage) const { return device(usage.device()); }
    const pb::Device *device(uint32_t index) const {
        auto found = devices.find(index);
        return found == devices.end() ? nullptr : &found->second;
    }
    // Device.id; "index:N" where a statement breaks the rule that it names known devices.
    std::string device_id(const pb::Usage &usage) const { return device_id(usage.device()); }
    std::string device_id(uint32_t index) const {
        const pb::Device *found = device(index);
        return found != nullptr ? found->id() : "index:" + std::to_string(index);
    }
    const pb::Workload &workload(const pb::Usage &usage) const {
        return statement().workloads(static_cast<int>(usage.workload()));
    }
};

} // namespace tally
