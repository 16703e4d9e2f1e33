#include "attest/rules.h"

#include "attest/parties.h"

#include <algorithm>
#include <utility>

namespace tally {

namespace {

Breach impossible(std::string reason) {
    return {pb::Refusal::CODE_IMPOSSIBLE, std::move(reason)};
}
Breach malformed(std::string reason) {
    return {pb::Refusal::CODE_MALFORMED, std::move(reason)};
}
Breach broken(std::string reason) {
    return {pb::Refusal::CODE_BROKEN_CHAIN, std::move(reason)};
}

std::string number(uint64_t value) {
    return std::to_string(value);
}

std::optional<Breach> check_header(const pb::Statement &statement) {
    const std::string &host = statement.host();
    if (host.empty() || host.size() > 253 || printable(host) != host)
        return malformed("host is not a DNS name");
    if (statement.boot_id().size() != 16)
        return malformed("boot id is not 16 bytes");
    if (statement.sequence() == 0)
        return malformed("sequence is zero");
    if (statement.previous().size() != (statement.sequence() == 1 ? 0 : 32))
        return malformed("previous is not the 32 bytes of a SHA-256");
    if (statement.part() >= statement.parts())
        return malformed("part " + number(statement.part()) + " of " + number(statement.parts()));
    return std::nullopt;
}

std::optional<Breach> check_window(const pb::Statement &statement) {
    const pb::Window &window = statement.window();
    if (window.begin_boottime_ns() >= window.end_boottime_ns())
        return impossible("window ends before it begins");
    const pb::Recording &recording = statement.recording();
    if (recording.rung() == pb::RUNG_UNSPECIFIED || !pb::Rung_IsValid(recording.rung()))
        return malformed("no rung is named");
    if (recording.since_boottime_ns() == 0 ||
        recording.since_boottime_ns() > window.end_boottime_ns())
        return impossible("recording began after the window's end");
    return std::nullopt;
}

std::optional<Breach> check_inventory(const pb::Statement &statement) {
    std::set<uint32_t> indices;
    for (const pb::Device &device : statement.inventory().devices()) {
        if (!indices.insert(device.index()).second)
            return malformed("two devices have index " + number(device.index()));
        if (device.id().empty())
            return malformed("device " + number(device.index()) + " has no id");
    }
    return std::nullopt;
}

void check_parties(const pb::Statement &statement, std::vector<Breach> &breaches) {
    for (int i = 0; i < statement.workloads_size(); i++) {
        const pb::Workload &workload = statement.workloads(i);
        bool has_party =
            !workload.tenant().empty() || !workload.parent().empty() || workload.payers_size() > 0;
        if (!workload.service().empty() && has_party)
            breaches.push_back(malformed("workload " + number(static_cast<uint64_t>(i)) +
                                         " is a service of the host's and a tenant's"));
        if (is_service_name(workload.tenant()))
            breaches.push_back(malformed("workload " + number(static_cast<uint64_t>(i)) +
                                         " has a tenant that is called as a service"));
    }
}

void check_usage(const pb::Statement &statement, std::vector<Breach> &breaches) {
    uint64_t length = length_of(statement.window());
    std::set<std::pair<uint32_t, uint32_t>> rows;
    for (const pb::Usage &usage : statement.usage()) {
        std::string row =
            "workload " + number(usage.workload()) + " on device " + number(usage.device());
        if (usage.workload() >= static_cast<uint32_t>(statement.workloads_size()))
            breaches.push_back(malformed(row + ": no such workload"));
        if (!rows.emplace(usage.workload(), usage.device()).second)
            breaches.push_back(malformed(row + ": two rows"));
        if (usage.held_ns() > length)
            breaches.push_back(impossible(row + ": held " + number(usage.held_ns()) +
                                          " ns in a window of " + number(length) + " ns"));
        // Held without an open, a find, a release or a file still open would be held by nothing.
        if (usage.held_ns() > 0 && usage.opens() == 0 && usage.found() == 0 &&
            usage.releases() == 0 && usage.open_files() == 0)
            breaches.push_back(
                impossible(row + ": held " + number(usage.held_ns()) + " ns without a file"));
    }
}

void check_occupancy(const pb::Statement &statement, std::vector<Breach> &breaches) {
    uint64_t length = length_of(statement.window());
    std::set<uint32_t> rows;
    if (statement.occupancy_size() > 0 && !statement.recording().tells_occupancy())
        breaches.push_back(malformed("occupancy is told by a recording that does not measure it"));
    for (const pb::Occupancy &occupancy : statement.occupancy()) {
        std::string row = "occupancy of device " + number(occupancy.device());
        if (!rows.insert(occupancy.device()).second)
            breaches.push_back(malformed(row + ": two rows"));
        if (occupancy.occupied_ns() > length)
            breaches.push_back(impossible(row + ": " + number(occupancy.occupied_ns()) +
                                          " ns in a window of " + number(length) + " ns"));
        if (occupancy.late_ns() > occupancy.occupied_ns())
            breaches.push_back(impossible(row + ": of " + number(occupancy.occupied_ns()) + " ns " +
                                          number(occupancy.late_ns()) + " ns are nobody's"));
    }
}

void check_work(const pb::Statement &statement, std::vector<Breach> &breaches) {
    uint64_t length = length_of(statement.window());
    for (const pb::Work &work : statement.work()) {
        std::string row = "work seen by \"" + printable(work.source(), 32) + "\"";
        if (work.source().empty() || work.grade() == pb::GRADE_UNSPECIFIED ||
            !pb::Grade_IsValid(work.grade()))
            breaches.push_back(malformed(row + ": no source or no grade"));
        if (!work.has_workload() && !work.has_device())
            breaches.push_back(malformed(row + ": of no workload and no device"));
        if (work.has_workload() &&
            work.workload() >= static_cast<uint32_t>(statement.workloads_size()))
            breaches.push_back(malformed(row + ": no such workload"));
        // 128 bits: a window of years times 2^32 engines is more than 64 hold.
        if (work.busy_ns() > static_cast<unsigned __int128>(length) * work.capacity())
            breaches.push_back(impossible(row + ": busy " + number(work.busy_ns()) +
                                          " ns in a window of " + number(length) + " ns on " +
                                          number(work.capacity()) + " engines"));
        // A window touches one second more than it is long, and another by where it begins.
        if (work.active_seconds() > length / 1'000'000'000 + 2)
            breaches.push_back(impossible(row + ": active in " + number(work.active_seconds()) +
                                          " seconds of a window of " + number(length) + " ns"));
    }
}

std::optional<Breach> check_place(const ChainHead &head, const pb::Statement &statement) {
    uint64_t sequence = statement.sequence();
    if (head.sequence > 0 && statement.host() != head.host)
        return Breach{pb::Refusal::CODE_WRONG_HOST, "statement names host " + statement.host() +
                                                        ", the chain is of " + head.host};
    if (sequence <= head.sequence)
        return Breach{pb::Refusal::CODE_REPLAYED, "sequence " + number(sequence) +
                                                      " is in the log already (last is " +
                                                      number(head.sequence) + ")"};
    if (sequence > head.sequence + 1)
        return Breach{pb::Refusal::CODE_SKIPPED,
                      "sequence " + number(sequence) + " follows " + number(head.sequence) + ": " +
                          number(sequence - head.sequence - 1) + " missing between them"};
    if (head.sequence > 0 && !equal(view(statement.previous()), head.digest))
        return broken("previous is not the SHA-256 of attestation " + number(head.sequence));
    return std::nullopt;
}

std::optional<Breach> check_time(const ChainHead &head, const pb::Statement &statement) {
    const pb::Window &window = statement.window();
    bool same_boot = head.sequence > 0 && statement.boot_id() == head.boot_id;
    bool mid_window = head.sequence > 0 && head.part + 1 < head.parts;
    if (mid_window) {
        if (!same_boot || statement.part() != head.part + 1 || statement.parts() != head.parts ||
            window.begin_boottime_ns() != head.begin_boottime_ns ||
            window.end_boottime_ns() != head.end_boottime_ns)
            return broken("part " + number(head.part + 1) + " of " + number(head.parts) +
                          " of the same window must follow");
        return std::nullopt;
    }
    if (statement.part() != 0)
        return broken("part " + number(statement.part()) + " without the parts before it");
    if (same_boot && window.begin_boottime_ns() != head.end_boottime_ns)
        return broken("window begins at " + number(window.begin_boottime_ns()) +
                      " ns, the one before ended at " + number(head.end_boottime_ns) + " ns");
    return std::nullopt;
}

std::optional<Breach> check_devices(const ChainHead &head, const pb::Statement &statement) {
    bool new_boot = head.sequence == 0 || statement.boot_id() != head.boot_id;
    if (new_boot && !statement.has_inventory())
        return broken("the first statement of a boot must bring the inventory");
    std::set<uint32_t> brought;
    for (const pb::Device &device : statement.inventory().devices())
        brought.insert(device.index());
    const std::set<uint32_t> &known = statement.has_inventory() ? brought : head.devices;
    for (const pb::Usage &usage : statement.usage()) {
        if (!known.contains(usage.device()))
            return impossible("usage of device " + number(usage.device()) +
                              ", which is not in the inventory");
    }
    for (const pb::Occupancy &occupancy : statement.occupancy()) {
        if (!known.contains(occupancy.device()))
            return impossible("occupancy of device " + number(occupancy.device()) +
                              ", which is not in the inventory");
    }
    for (const pb::Work &work : statement.work()) {
        if (work.has_device() && !known.contains(work.device()))
            return impossible("work on device " + number(work.device()) +
                              ", which is not in the inventory");
    }
    return std::nullopt;
}

} // namespace

std::vector<Breach> breaches_of(const pb::Statement &statement) {
    std::vector<Breach> breaches;
    for (auto *check : {check_header, check_window, check_inventory}) {
        if (auto breach = check(statement))
            breaches.push_back(*std::move(breach));
    }
    check_parties(statement, breaches);
    check_usage(statement, breaches);
    check_occupancy(statement, breaches);
    check_work(statement, breaches);
    return breaches;
}

std::optional<Breach> check_statement(const pb::Statement &statement) {
    std::vector<Breach> breaches = breaches_of(statement);
    return breaches.empty() ? std::nullopt : std::optional(std::move(breaches.front()));
}

std::optional<Breach> check_follows(const ChainHead &head, const pb::Statement &statement) {
    for (auto *check : {check_place, check_time, check_devices}) {
        if (auto breach = check(head, statement))
            return breach;
    }
    return std::nullopt;
}

void advance(ChainHead &head, const pb::Statement &statement, const Digest &digest) {
    head.host = statement.host();
    head.sequence = statement.sequence();
    head.digest = digest;
    head.boot_id = statement.boot_id();
    head.begin_boottime_ns = statement.window().begin_boottime_ns();
    head.end_boottime_ns = statement.window().end_boottime_ns();
    head.end_wall_ns = statement.window().end_wall_ns();
    head.part = statement.part();
    head.parts = statement.parts();
    if (statement.has_inventory()) {
        head.devices.clear();
        for (const pb::Device &device : statement.inventory().devices())
            head.devices.insert(device.index());
    }
}

} // namespace tally
