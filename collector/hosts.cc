#include "collector/hosts.h"

#include "attest/parties.h"
#include "findings/coverage.h"

namespace tally {

void follow(HostState &state, const pb::Statement &statement, const Digest &digest,
            const Bytes &signing_key) {
    advance(state.head, statement, digest);
    if (!signing_key.empty())
        state.head.signing_key = signing_key;
    if (!statement.has_inventory())
        return;
    state.new_inventory = true;
    state.devices.clear();
    for (const pb::Device &device : statement.inventory().devices())
        state.devices[device.index()] = {device.id(), device.model()};
}

IndexRow index_row(uint64_t log_index, const pb::Statement &statement, const HostState &state) {
    IndexRow row;
    row.log_index = log_index;
    row.host = statement.host();
    row.sequence = statement.sequence();
    row.begin_wall_ns = statement.window().begin_wall_ns();
    row.end_wall_ns = statement.window().end_wall_ns();
    row.begin_boottime_ns = statement.window().begin_boottime_ns();
    row.end_boottime_ns = statement.window().end_boottime_ns();
    if (statement.part() == 0) {
        row.attested_ns = length_of(statement.window());
        row.covered_ns = row.attested_ns - paused_ns(statement);
    }
    for (const pb::Usage &usage : statement.usage()) {
        // In range, and the device known: check_statement and check_follows have seen to it.
        const pb::Workload &workload = statement.workloads(static_cast<int>(usage.workload()));
        auto device = state.devices.find(usage.device());
        KnownDevice known = device == state.devices.end() ? KnownDevice() : device->second;
        row.usage.push_back(
            {party_of(workload), workload.parent(), known.id, known.model, usage.held_ns()});
    }
    return row;
}

IndexRow explanation_row(uint64_t log_index, const OpenedExplanation &said) {
    IndexRow row;
    row.log_index = log_index;
    row.explanation = said;
    return row;
}

IndexRow fork_row(uint64_t log_index, const pb::Statement &statement, const Digest &digest) {
    IndexRow row;
    row.log_index = log_index;
    row.host = statement.host();
    row.sequence = statement.sequence();
    row.fork = digest;
    return row;
}

} // namespace tally
