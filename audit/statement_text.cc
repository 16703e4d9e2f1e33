// One statement in words. Every field of attest/statement.proto has its line here.
#include "attest/crypto.h"
#include "audit/report.h"
#include "audit/show.h"
#include "audit/units.h"

#include <algorithm>

namespace tally {

namespace {

class Lines {
public:
    // "name          value"
    void add(const std::string &name, const std::string &value) {
        out_ += name + std::string(name.size() < kWidth ? kWidth - name.size() : 1, ' ') + value;
        out_ += '\n';
    }
    void section(const std::string &title) { out_ += "\n" + title + "\n"; }
    const std::string &text() const { return out_; }

private:
    static constexpr size_t kWidth = 18;
    std::string out_;
};

std::string hex(const std::string &bytes) {
    return to_hex(view(bytes));
}

std::string or_none(const std::string &text) {
    return text.empty() ? "none" : text;
}

std::string event_kind(int kind) {
    if (!pb::Event::Kind_IsValid(kind))
        return "unknown kind " + std::to_string(kind);
    std::string name = pb::Event::Kind_Name(static_cast<pb::Event::Kind>(kind)).substr(5);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c == '_' ? ' ' : static_cast<char>(std::tolower(c)); });
    return name;
}

std::string boottime_text(uint64_t ns) {
    return seconds_text(ns) + " s after boot";
}

void add_head(Lines &lines, const pb::Statement &statement) {
    const pb::Window &window = statement.window();
    lines.add("host", printable(statement.host()));
    lines.add("boot id", hex(statement.boot_id()));
    lines.add("sequence", std::to_string(statement.sequence()));
    lines.add("previous", or_none(hex(statement.previous())));
    lines.add("window", utc_text(window.begin_wall_ns()) + " to " + utc_text(window.end_wall_ns()));
    lines.add("  on boot clock",
              seconds_text(window.begin_boottime_ns()) + " to " +
                  boottime_text(window.end_boottime_ns()) + ", " +
                  duration_text(window.end_boottime_ns() - window.begin_boottime_ns()));
    lines.add("part", std::to_string(uint64_t{statement.part()} + 1) + " of " +
                          std::to_string(statement.parts()));
    lines.add("certificate", statement.certificate().empty()
                                 ? "not in this statement"
                                 : "SHA-256 " + to_hex(sha256(view(statement.certificate()))));
}

void add_usage(Lines &lines, const pb::Statement &statement, const Devices &devices) {
    lines.section("usage (held: the device was open; not GPU time)");
    for (const pb::Usage &usage : statement.usage()) {
        const pb::Workload &workload = statement.workloads(static_cast<int>(usage.workload()));
        auto device = devices.find(usage.device());
        lines.add("  device", device == devices.end() ? "index " + std::to_string(usage.device()) +
                                                            " of an earlier statement's inventory"
                                                      : printable(device->second.id()));
        std::string parent =
            workload.parent().empty() ? "" : " (through " + printable(workload.parent()) + ")";
        lines.add("    tenant", workload.tenant().empty() ? "unattributed" + parent
                                                          : printable(workload.tenant()) + parent);
        lines.add("    workload",
                  cgroup_name(workload) + " (id " + std::to_string(workload.cgroup_id()) + ")");
        lines.add("    held", seconds_text(usage.held_ns()) + " s");
        lines.add("    files", count_text(usage.opens(), "open") + ", " +
                                   std::to_string(usage.found()) + " found by scans, " +
                                   count_text(usage.releases(), "release") + ", " +
                                   std::to_string(usage.open_files()) + " open at the end");
    }
    if (statement.usage().empty())
        lines.add("  none", "");
    // A workload that no row names would otherwise go unseen.
    for (int i = 0; i < statement.workloads_size(); i++) {
        bool used = std::any_of(
            statement.usage().begin(), statement.usage().end(),
            [&](const pb::Usage &usage) { return usage.workload() == static_cast<uint32_t>(i); });
        if (!used)
            lines.add("  unused workload",
                      cgroup_name(statement.workloads(i)) + " (id " +
                          std::to_string(statement.workloads(i).cgroup_id()) + "), tenant " +
                          or_none(printable(statement.workloads(i).tenant())) + ", parent " +
                          or_none(printable(statement.workloads(i).parent())));
    }
}

void add_recording(Lines &lines, const pb::Recording &recording) {
    auto pressure = [](const pb::MapPressure &map) {
        return std::to_string(map.entries()) + " of " + std::to_string(map.capacity()) + " entries";
    };
    lines.section("recording");
    lines.add("  rung", rung_names({recording.rung()}));
    lines.add("  since", boottime_text(recording.since_boottime_ns()));
    lines.add("  scans", std::to_string(recording.scans()) + ", longest gap " +
                             seconds_text(recording.longest_scan_gap_ns()) + " s");
    lines.add("  usage map", pressure(recording.usage_map()));
    lines.add("  holder map", pressure(recording.holder_map()));
    for (const pb::Loss &loss : recording.losses())
        lines.add("  lost", std::to_string(loss.count()) + " at " + printable(loss.place()));
    if (recording.losses().empty())
        lines.add("  lost", "nothing");
    for (const pb::Hook &hook : recording.hooks())
        lines.add("  hook", printable(hook.name()) +
                                (hook.attached() ? ", attached" : ", not attached") +
                                (hook.reason().empty() ? "" : ": " + printable(hook.reason())) +
                                (hook.tag().empty() ? "" : ", tag " + printable(hook.tag())));
}

void add_inventory(Lines &lines, const pb::Inventory &inventory) {
    lines.section("inventory");
    for (const pb::Device &device : inventory.devices()) {
        lines.add("  device " + std::to_string(device.index()),
                  printable(device.id()) + (device.configured() ? " (configured)" : ""));
        lines.add("    model", or_none(printable(device.model())));
        for (const std::string &address : device.pci_addresses())
            lines.add("    PCI address", printable(address));
        if (!device.pci_id().empty())
            lines.add("    PCI id", printable(device.pci_id()));
        if (!device.uuid().empty())
            lines.add("    UUID", printable(device.uuid()));
        for (const pb::Node &node : device.nodes())
            lines.add("    node", printable(node.path()) + " (" + std::to_string(node.major()) +
                                      ":" + std::to_string(node.minor()) + ")");
    }
    if (inventory.devices().empty())
        lines.add("  no devices", "");
}

} // namespace

std::string statement_text(const pb::Statement &statement, const Devices &devices) {
    Lines lines;
    add_head(lines, statement);
    add_usage(lines, statement, devices);
    add_recording(lines, statement.recording());
    if (!statement.events().empty())
        lines.section("events");
    for (const pb::Event &event : statement.events())
        lines.add("  " + event_kind(event.kind()),
                  boottime_text(event.boottime_ns()) +
                      (event.detail().empty() ? "" : ": " + printable(event.detail())));
    if (statement.has_inventory())
        add_inventory(lines, statement.inventory());
    if (statement.has_agent()) {
        lines.section("agent");
        lines.add("  version", or_none(printable(statement.agent().version())));
        lines.add("  build id", or_none(printable(statement.agent().build_id())));
        lines.add("  configuration", or_none(hex(statement.agent().config_digest())));
        lines.add("  kernel", or_none(printable(statement.agent().kernel())));
    }
    return lines.text();
}

} // namespace tally
