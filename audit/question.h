// What an auditor asks about: a span of time, a tenant, a host, a device.
#pragma once

#include "base/result.h"
#include "findings/entry.h"

#include <optional>
#include <string>
#include <vector>

namespace tally {

struct Question {
    uint64_t from_ns = 0; // of the wall clock
    uint64_t to_ns = UINT64_MAX;
    // Empty: any.
    std::string tenant;
    std::string parent; // anywhere between the tenant and its payer
    std::string host;
    std::string device; // Device.id or UUID

    // A window belongs to the moment at which it begins, so that what is asked of two spans side by
    // side adds up.
    bool is_in_time(const pb::Window &window) const {
        return from_ns <= window.begin_wall_ns() && window.begin_wall_ns() < to_ns;
    }
    bool covers(const Entry &entry, const pb::Usage &usage) const {
        return covers(entry, &entry.workload(usage), usage.device());
    }
    // The device, whoever may hold it; no tenant and no parent is asked for.
    bool covers(const Entry &entry, uint32_t device) const {
        return covers(entry, nullptr, device);
    }
    // Work of nobody in particular, or on no device in particular, is nobody's or no device's.
    bool covers(const Entry &entry, const pb::Work &work) const;

private:
    bool covers(const Entry &entry, const pb::Workload *workload,
                std::optional<uint32_t> index) const;
};

// As typed; empty texts ask for anything.
struct QuestionWords {
    std::string from;
    std::string to;
    Question rest;
    Result<Question> parse() const;
};

} // namespace tally
