// The table of what leaves the host, and the page that shows it.
#include "agent/statement/disclosure.h"

#include "base/bytes.h"
#include "base/text.h"

namespace tally {

namespace {

constexpr std::array<Treatment, kPrivacyLevels> kAlways = {Treatment::kAsIs, Treatment::kAsIs,
                                                           Treatment::kAsIs};
constexpr std::array<Treatment, kPrivacyLevels> kNotMinimal = {Treatment::kAsIs, Treatment::kAsIs,
                                                               Treatment::kNothing};
constexpr std::array<Treatment, kPrivacyLevels> kName = {Treatment::kAsIs, Treatment::kSealed,
                                                         Treatment::kNothing};

constexpr const char *kLevels[kPrivacyLevels] = {"full", "sealed", "minimal"};

const char *words(Treatment treatment) {
    switch (treatment) {
    case Treatment::kAsIs:
        return "as it is";
    case Treatment::kSealed:
        return "token, sealed";
    case Treatment::kToken:
        return "token";
    case Treatment::kKeyed:
        return "keyed hash";
    case Treatment::kNothing:
        return "not at all";
    }
    return "";
}

} // namespace

const char *privacy_name(Privacy level) {
    return kLevels[static_cast<size_t>(level)];
}

Result<Privacy> parse_privacy(const std::string &name) {
    for (size_t level = 0; level < kPrivacyLevels; level++) {
        if (name == kLevels[level])
            return static_cast<Privacy>(level);
    }
    return Error{"\"" + printable(name) + "\" must be full, sealed or minimal"};
}

// In the order of Kind.
const std::vector<KindRow> &disclosure_table() {
    static const std::vector<KindRow> kTable = {
        {Kind::kChain, "host, boot, chain, window", kAlways,
         "host boot_id sequence previous part parts certificate window.begin_boottime_ns "
         "window.end_boottime_ns window.begin_wall_ns window.end_wall_ns"},
        {Kind::kDevices, "devices: model, address, UUID, nodes", kAlways,
         "inventory.devices.index inventory.devices.id inventory.devices.model "
         "inventory.devices.pci_addresses inventory.devices.pci_id inventory.devices.uuid "
         "inventory.devices.nodes.path inventory.devices.nodes.major "
         "inventory.devices.nodes.minor inventory.devices.configured inventory.devices.kind "
         "inventory.devices.parent inventory.devices.profile inventory.devices.vendor "
         "inventory.devices.subsystem_id inventory.devices.serial inventory.devices.numa_node "
         "inventory.devices.driver inventory.devices.driver_version "
         "inventory.devices.architecture inventory.devices.instances inventory.devices.absent"},
        {Kind::kUsage, "use: which device, how long, how often", kAlways,
         "usage.device usage.workload usage.held_ns usage.opens usage.found usage.releases "
         "usage.open_files usage.untracked usage.was_untracked"},
        {Kind::kOccupancy, "devices: how long anybody held them", kAlways,
         "occupancy.device occupancy.occupied_ns occupancy.late_ns"},
        {Kind::kWork, "evidence of work: how long, how often, by source", kAlways,
         "work.source work.grade work.workload work.device work.engine work.busy_ns "
         "work.capacity work.active_seconds work.memory_bytes work.counts.what work.counts.count"},
        {Kind::kRecording, "how it was recorded: hooks, scans, losses", kAlways,
         "recording.rung recording.since_boottime_ns recording.scans "
         "recording.longest_scan_gap_ns recording.reading_ns recording.losses.place "
         "recording.losses.count recording.usage_map.entries recording.usage_map.capacity "
         "recording.holder_map.entries recording.holder_map.capacity recording.hooks.name "
         "recording.hooks.attached recording.hooks.reason recording.hooks.tag "
         "recording.sources.name recording.sources.at_work recording.sources.reason "
         "recording.tells_occupancy recording.begin_reading_ns"},
        {Kind::kAgent, "agent: version, kernel, configuration's hash", kAlways,
         "agent.version agent.build_id agent.config_digest agent.kernel agent.privacy"},
        {Kind::kSealing, "whose key boxes are for, and the boxes", kAlways,
         "sealing.key sealing.encapsulated workloads.sealed.token workloads.sealed.number "
         "workloads.sealed.box events.sealed.token events.sealed.number events.sealed.box"},
        {Kind::kServices, "workload: service of the host's own", kAlways, "workloads.service"},
        {Kind::kCgroupId, "workload: cgroup's number", kAlways, "workloads.cgroup_id"},
        {Kind::kParties,
         "workload: tenant, parent, payers",
         {Treatment::kAsIs, Treatment::kSealed, Treatment::kToken},
         "workloads.tenant workloads.parent workloads.payers"},
        {Kind::kCgroupPath, "workload: cgroup's path", kName, "workloads.cgroup_path"},
        {Kind::kIdentityKeys, "platform, and which names it gave", kNotMinimal,
         "workloads.identity.source workloads.identity.names.key"},
        {Kind::kIdentityValues, "the names: domain, pod, unit, job, user", kName,
         "workloads.identity.names.value"},
        {Kind::kFiles, "the files they were read from", kName, "workloads.identity.origins.path"},
        {Kind::kDigests,
         "hashes of these, and of tenant files",
         {Treatment::kAsIs, Treatment::kKeyed, Treatment::kNothing},
         "workloads.identity.origins.digest workloads.attribution.digest"},
        {Kind::kRule, "rule that named the tenant", kName, "workloads.attribution.rule"},
        {Kind::kTerms, "country, account, contract", kName,
         "workloads.attribution.country workloads.attribution.account "
         "workloads.attribution.contract"},
        {Kind::kExecutable, "nobody's workload: opener's executable", kName,
         "workloads.opener.executable"},
        {Kind::kOpener, "that file's number, opener's user id", kNotMinimal,
         "workloads.opener.device workloads.opener.inode workloads.opener.user"},
        {Kind::kEvents, "events: kind and time", kAlways, "events.kind events.boottime_ns"},
        {Kind::kNameless, "  about agent, clock, devices", kAlways, "events.detail"},
        {Kind::kDetails, "  about processes and tenants", kName, "events.detail"},
    };
    return kTable;
}

std::string disclosure_text(Privacy level) {
    constexpr auto kLeft = Table::Align::kLeft;
    Table table({kLeft, kLeft, kLeft, kLeft});
    std::vector<std::string> titles = {"WHAT LEAVES THE HOST"};
    for (size_t i = 0; i < kPrivacyLevels; i++)
        titles.push_back(std::string(kLevels[i]) +
                         (i == static_cast<size_t>(level) ? " (in force)" : ""));
    table.add(titles);
    for (const KindRow &row : disclosure_table()) {
        std::vector<std::string> cells = {row.what};
        for (Treatment treatment : row.at)
            cells.emplace_back(words(treatment));
        table.add(cells);
    }
    return table.str() +
           "\ntoken: \"sealed:\" and 24 characters of the name's HMAC-SHA-256 under the fleet's "
           "join "
           "key.\nsealed: the name, encrypted to the auditor's public key (HPKE), where it is told "
           "first.\nNot here because nothing reads it: arguments, environment and memory of "
           "processes, data.\n";
}

} // namespace tally
