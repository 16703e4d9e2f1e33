#include "agent/statement/statement.h"

#include "attest/dsse.h"
#include "attest/parties.h"

#include <algorithm>

namespace tally {

namespace {

// What one part may hold before the next is begun: room for a row more, the chain's fields and the
// envelope stays below kMaxAttestation. A row may tell a workload in full: a path of 4 KiB, two
// dozen names of 253 bytes and as many tokens and boxes, whose overhead is 100 bytes a name.
constexpr size_t kPartBudget = kMaxAttestation - 24576;

void introduce(pb::Statement &statement, const Introduction &introduction) {
    pb::Inventory &inventory = *statement.mutable_inventory(); // present even if empty
    for (const auto &[index, device] : introduction.devices)
        *inventory.add_devices() = to_message(index, device);
    *statement.mutable_agent() = introduction.agent;
    statement.set_certificate(introduction.certificate.data(), introduction.certificate.size());
    for (const HookState &hook : introduction.hooks) {
        pb::Hook &out = *statement.mutable_recording()->add_hooks();
        out.set_name(hook.name);
        out.set_attached(hook.attached);
        out.set_reason(hook.reason);
        out.set_tag(hook.tag);
    }
}

void describe_recording(pb::Recording &recording, const WindowFacts &facts) {
    const Snapshot &before = facts.before;
    const Snapshot &after = facts.after;
    recording.set_rung(facts.rung);
    recording.set_since_boottime_ns(facts.since_ns);
    recording.set_scans(after.scans - before.scans);
    recording.set_longest_scan_gap_ns(after.longest_scan_gap_ns);
    recording.set_reading_ns(after.reading_ns);
    recording.set_begin_reading_ns(before.reading_ns);
    recording.set_tells_occupancy(after.tells_occupancy);
    recording.mutable_usage_map()->set_entries(static_cast<uint32_t>(after.usage.size()));
    recording.mutable_usage_map()->set_capacity(after.usage_capacity);
    recording.mutable_holder_map()->set_entries(after.holders);
    recording.mutable_holder_map()->set_capacity(after.holder_capacity);
    for (const auto &[place, total] : after.losses) {
        auto earlier = before.losses.find(place);
        uint64_t lost = total;
        // A total below the one before is another's: a program was replaced, and counts from zero.
        if (earlier != before.losses.end() && earlier->second <= total)
            lost -= earlier->second;
        if (lost == 0)
            continue;
        pb::Loss &out = *recording.add_losses();
        out.set_place(place);
        out.set_count(lost);
    }
}

// The rows of a statement and the workloads they name.
class Rows {
public:
    explicit Rows(pb::Statement &statement) : statement_(statement) {}

    void add(const UsageKey &key, const UsageTotals &since, const UsageTotals &until,
             bool was_untracked, const std::function<pb::Workload(uint64_t)> &name) {
        pb::Usage &row = *statement_.add_usage();
        row.set_device(key.device);
        row.set_workload(position(key.workload, name));
        row.set_held_ns(until.held_ns - since.held_ns);
        row.set_opens(until.opens - since.opens);
        row.set_found(until.found - since.found);
        row.set_releases(until.releases - since.releases);
        row.set_open_files(static_cast<uint32_t>(until.open_files));
        row.set_untracked(until.untracked - since.untracked);
        row.set_was_untracked(was_untracked);
    }

    void add_occupancy(uint32_t device, const UsageTotals &since, const UsageTotals &until) {
        pb::Occupancy &row = *statement_.add_occupancy();
        row.set_device(device);
        row.set_occupied_ns(until.held_ns - since.held_ns);
        row.set_late_ns(std::min(until.late_ns - since.late_ns, row.occupied_ns()));
    }

    void add(const SourcedWork &work, const std::optional<uint32_t> &device,
             const std::function<pb::Workload(uint64_t)> &name) {
        pb::Work &row = *statement_.add_work();
        row.set_source(work.source);
        row.set_grade(work.grade);
        if (work.key.workload != 0)
            row.set_workload(position(work.key.workload, name));
        if (device)
            row.set_device(*device);
        row.set_engine(printable(work.key.engine, 64));
        // What a source saw just after the window's end counts to it, as far as there is room.
        const pb::Window &window = statement_.window();
        uint64_t length = window.end_boottime_ns() - window.begin_boottime_ns();
        if (work.figures.busy_ns)
            row.set_busy_ns(std::min(*work.figures.busy_ns, length * work.figures.capacity));
        row.set_capacity(work.figures.capacity);
        row.set_active_seconds(static_cast<uint32_t>(
            std::min<uint64_t>(work.figures.active_seconds, length / kSecond + 2)));
        row.set_memory_bytes(work.figures.memory_bytes);
        for (const auto &[what, count] : work.figures.counts) {
            if (count == 0)
                continue;
            pb::Count &out = *row.add_counts();
            out.set_what(what);
            out.set_count(count);
        }
    }

private:
    uint32_t position(uint64_t cgroup_id, const std::function<pb::Workload(uint64_t)> &name) {
        auto [entry, fresh] =
            positions_.try_emplace(cgroup_id, static_cast<uint32_t>(statement_.workloads_size()));
        if (fresh)
            *statement_.add_workloads() = name(cgroup_id);
        return entry->second;
    }

    pb::Statement &statement_;
    std::map<uint64_t, uint32_t> positions_;
};

} // namespace

pb::Device to_message(uint32_t index, const Device &device) {
    pb::Device out;
    out.set_index(index);
    out.set_id(device.id);
    out.set_kind(device.kind);
    out.set_parent(device.parent);
    out.set_vendor(device.vendor);
    out.set_model(device.model);
    out.set_profile(device.profile);
    for (const std::string &address : device.pci_addresses)
        out.add_pci_addresses(address);
    out.set_pci_id(device.pci_id);
    out.set_subsystem_id(device.subsystem_id);
    out.set_uuid(device.uuid);
    out.set_serial(device.serial);
    if (device.numa_node)
        out.set_numa_node(*device.numa_node);
    out.set_driver(device.driver);
    out.set_driver_version(device.driver_version);
    out.set_architecture(device.architecture);
    out.set_instances(device.instances);
    out.set_configured(device.configured);
    out.set_absent(device.absent);
    for (const DeviceNode &node : device.nodes) {
        pb::Node &to = *out.add_nodes();
        to.set_path(node.path);
        to.set_major(node.major);
        to.set_minor(node.minor);
    }
    return out;
}

Device from_message(const pb::Device &message) {
    Device device;
    device.id = message.id();
    device.kind = message.kind();
    device.parent = message.parent();
    device.vendor = message.vendor();
    device.model = message.model();
    device.profile = message.profile();
    device.pci_addresses = {message.pci_addresses().begin(), message.pci_addresses().end()};
    device.pci_id = message.pci_id();
    device.subsystem_id = message.subsystem_id();
    device.uuid = message.uuid();
    device.serial = message.serial();
    if (message.has_numa_node())
        device.numa_node = message.numa_node();
    device.driver = message.driver();
    device.driver_version = message.driver_version();
    device.architecture = message.architecture();
    device.instances = message.instances();
    device.configured = message.configured();
    device.absent = message.absent();
    for (const pb::Node &node : message.nodes())
        device.nodes.push_back({node.path(), node.major(), node.minor()});
    return device;
}

pb::Workload to_message(uint64_t cgroup_id, const Workload &workload, bool brief) {
    pb::Workload out;
    out.set_cgroup_id(cgroup_id);
    out.set_cgroup_path(workload.cgroup_path);
    if (is_service_name(workload.tenant.name))
        out.set_service(workload.tenant.name.substr(kServicePrefix.size()));
    else
        out.set_tenant(workload.tenant.name);
    out.set_parent(workload.tenant.parent);
    for (const std::string &payer : workload.tenant.payers)
        out.add_payers(payer);
    if (brief)
        return out;
    if (!workload.identity.source.empty()) {
        pb::Identity &identity = *out.mutable_identity();
        identity.set_source(workload.identity.source);
        for (const Name &name : workload.identity.names) {
            pb::Name &to = *identity.add_names();
            to.set_key(name.key);
            to.set_value(printable(name.value)); // protobuf strings are UTF-8
        }
        for (const Origin &origin : workload.identity.origins) {
            pb::Origin &to = *identity.add_origins();
            to.set_path(printable(origin.path));
            to.set_digest(origin.digest.data(), origin.digest.size());
        }
    }
    if (!workload.tenant.rule.empty()) {
        pb::Attribution &attribution = *out.mutable_attribution();
        attribution.set_rule(workload.tenant.rule);
        if (workload.tenant.digest != Digest{})
            attribution.set_digest(workload.tenant.digest.data(), workload.tenant.digest.size());
        attribution.set_country(workload.tenant.country);
        attribution.set_account(workload.tenant.account);
        attribution.set_contract(workload.tenant.contract);
    }
    if (workload.opener.known && workload.tenant.name.empty()) {
        pb::Opener &opener = *out.mutable_opener();
        opener.set_executable(printable(workload.opener.executable));
        opener.set_device(workload.opener.device);
        opener.set_inode(workload.opener.inode);
        opener.set_user(workload.opener.user);
    }
    return out;
}

Workload from_message(const pb::Workload &message) {
    Workload workload;
    workload.cgroup_path = message.cgroup_path();
    workload.tenant.name = party_of(message);
    workload.tenant.parent = message.parent();
    workload.tenant.payers = {message.payers().begin(), message.payers().end()};
    workload.tenant.rule = message.attribution().rule();
    workload.tenant.country = message.attribution().country();
    workload.tenant.account = message.attribution().account();
    workload.tenant.contract = message.attribution().contract();
    std::copy_n(message.attribution().digest().begin(),
                std::min(message.attribution().digest().size(), workload.tenant.digest.size()),
                workload.tenant.digest.begin());
    workload.identity.source = message.identity().source();
    for (const pb::Name &name : message.identity().names())
        workload.identity.names.push_back({name.key(), name.value()});
    if (message.has_opener()) {
        const pb::Opener &opener = message.opener();
        workload.opener = {opener.executable(), opener.device(), opener.inode(), opener.user(),
                           true};
    }
    return workload;
}

std::vector<pb::Statement> make_statements(const WindowFacts &facts,
                                           const std::function<pb::Workload(uint64_t)> &name) {
    pb::Statement common;
    pb::Window &window = *common.mutable_window();
    window.set_begin_boottime_ns(facts.begin.boottime_ns);
    window.set_end_boottime_ns(facts.after.at.boottime_ns);
    window.set_begin_wall_ns(facts.begin.wall_ns);
    window.set_end_wall_ns(facts.after.at.wall_ns);
    describe_recording(*common.mutable_recording(), facts);

    std::vector<pb::Statement> parts = {common};
    if (facts.introduction != nullptr)
        introduce(parts[0], *facts.introduction);
    for (const pb::Event &event : facts.events)
        *parts[0].add_events() = event;

    for (const pb::SourceState &state : facts.sources)
        *parts[0].mutable_recording()->add_sources() = state;

    // Losses are of the window, not of a part: said once.
    common.mutable_recording()->clear_losses();
    auto rows = std::make_unique<Rows>(parts.back());
    size_t size = parts.back().ByteSizeLong();
    auto make_room = [&] {
        if (size <= kPartBudget)
            return;
        parts.push_back(common);
        rows = std::make_unique<Rows>(parts.back());
        size = parts.back().ByteSizeLong();
    };
    // An upper bound on what a row and its workload added; counting the whole each time would be
    // quadratic.
    auto added = [&](size_t row) {
        const auto &workloads = parts.back().workloads();
        size += 64 + row + (workloads.empty() ? 0 : workloads.rbegin()->ByteSizeLong());
    };
    std::map<uint64_t, std::set<uint32_t>> held; // workload -> devices
    for (const auto &[key, until] : facts.after.usage) {
        auto earlier = facts.before.usage.find(key);
        UsageTotals since = earlier == facts.before.usage.end() ? UsageTotals{} : earlier->second;
        bool was_untracked = facts.untracked.contains(key);
        bool quiet = until == since && until.open_files == 0 && !was_untracked;
        if (quiet || (key.workload == kAnybody && !facts.after.tells_occupancy))
            continue;
        make_room();
        if (key.workload == kAnybody) {
            rows->add_occupancy(key.device, since, until);
            added(0);
            continue;
        }
        rows->add(key, since, until, was_untracked, name);
        added(0);
        held[key.workload].insert(key.device);
    }
    for (const SourcedWork &work : facts.work) {
        make_room();
        // Who held one device only, worked on that one.
        std::optional<uint32_t> device = work.key.device;
        auto devices = held.find(work.key.workload);
        if (!device && devices != held.end() && devices->second.size() == 1)
            device = *devices->second.begin();
        rows->add(work, device, name);
        added(parts.back().work().rbegin()->ByteSizeLong());
    }
    for (size_t part = 0; part < parts.size(); part++) {
        parts[part].set_part(static_cast<uint32_t>(part));
        parts[part].set_parts(static_cast<uint32_t>(parts.size()));
    }
    return parts;
}

} // namespace tally
