#include "audit/show.h"

#include "base/text.h"
#include "findings/names.h"

namespace tally {

namespace {

// Lines of a label and a value; values from the log are made printable by whoever passes them.
class Page {
public:
    void line(const std::string &label, const std::string &value) {
        constexpr size_t kLabelWidth = 14;
        text_ +=
            label + std::string(label.size() < kLabelWidth ? kLabelWidth - label.size() : 1, ' ');
        text_ += value + "\n";
    }
    const std::string &text() const { return text_; }

private:
    std::string text_;
};

std::string number(uint64_t value) {
    return std::to_string(value);
}

std::string boot_time(uint64_t ns) {
    return decimal_seconds(ns) + " s";
}

std::string hex_or(const std::string &bytes, const char *otherwise) {
    return bytes.empty() ? otherwise : to_hex(view(bytes));
}

void add_chain(Page &page, const Entry &entry) {
    const pb::Statement &statement = entry.statement();
    page.line("log index", number(entry.index));
    page.line("sha256", to_hex(entry.opened.digest));
    page.line("signed by", "key " + to_hex(sha256(entry.opened.signing_key)));
    page.line("host", printable(statement.host()));
    page.line("boot id", to_hex(view(statement.boot_id())));
    page.line("sequence", number(statement.sequence()) + ", part " + number(statement.part() + 1) +
                              " of " + number(statement.parts()));
    page.line("previous", hex_or(statement.previous(), "none: the first of its chain"));
    const pb::Window &window = statement.window();
    page.line("window", utc_time(window.begin_wall_ns()) + " to " + utc_time(window.end_wall_ns()) +
                            ", " + duration(window.end_boottime_ns() - window.begin_boottime_ns()));
    page.line("", "boot time " + boot_time(window.begin_boottime_ns()) + " to " +
                      boot_time(window.end_boottime_ns()));
}

// What the tenant files say of the tenant, where the statement does.
void add_terms(Page &page, const pb::Attribution &attribution) {
    std::string terms;
    for (auto [label, value] : {std::pair("country", &attribution.country()),
                                std::pair("account", &attribution.account()),
                                std::pair("contract", &attribution.contract())}) {
        if (!value->empty())
            terms += (terms.empty() ? "" : ", ") + std::string(label) + " " + printable(*value);
    }
    if (!terms.empty())
        page.line("", terms);
}

void add_usage(Page &page, const Entry &entry) {
    const pb::Statement &statement = entry.statement();
    for (int i = 0; i < statement.workloads_size(); i++) {
        const pb::Workload &workload = statement.workloads(i);
        std::string tenant = "unattributed";
        if (!workload.tenant().empty())
            tenant = "tenant " + printable(workload.tenant());
        for (const std::string &party : parties_above(workload))
            tenant += " through " + printable(party);
        page.line("workload " + number(static_cast<uint64_t>(i)),
                  tenant + ", cgroup " + printable(workload.cgroup_path(), 4096) + " (id " +
                      number(workload.cgroup_id()) + ")");
        add_terms(page, workload.attribution());
    }
    for (const pb::Usage &usage : statement.usage())
        page.line("usage",
                  "workload " + number(usage.workload()) + " on device " + number(usage.device()) +
                      " (" + printable(entry.device_id(usage)) + "): held " +
                      duration(usage.held_ns()) + ", opens " + number(usage.opens()) + ", found " +
                      number(usage.found()) + ", releases " + number(usage.releases()) +
                      ", open at the end " + number(usage.open_files()) +
                      (held_is_lower_bound(usage)
                           ? ", without room for " + number(usage.untracked()) + " files" +
                                 (usage.was_untracked() ? " and perhaps some of before" : "") +
                                 ": held at least"
                           : ""));
}

void add_recording(Page &page, const pb::Recording &recording) {
    page.line("recording",
              "rung " + rung_name(recording.rung()) + ": " + rung_precision(recording.rung()) +
                  "; without a pause since boot time " + boot_time(recording.since_boottime_ns()));
    page.line("scans", number(recording.scans()) + ", longest gap " +
                           decimal_seconds(recording.longest_scan_gap_ns()) +
                           " s; totals read within " + decimal_seconds(recording.reading_ns()) +
                           " s of the end");
    for (const pb::Loss &loss : recording.losses())
        page.line("lost", number(loss.count()) + ": " + printable(loss.place()));
    page.line("maps", "usage " + number(recording.usage_map().entries()) + " of " +
                          number(recording.usage_map().capacity()) + ", holders " +
                          number(recording.holder_map().entries()) + " of " +
                          number(recording.holder_map().capacity()));
    for (const pb::Hook &hook : recording.hooks())
        page.line("hook", printable(hook.name()) +
                              (hook.attached() ? ", attached"
                                               : ", not attached: " + printable(hook.reason())) +
                              (hook.tag().empty() ? "" : ", tag " + printable(hook.tag())));
}

void add_inventory(Page &page, const pb::Inventory &inventory) {
    for (const pb::Device &device : inventory.devices()) {
        std::string text = printable(device.id());
        auto add = [&text](const char *label, const std::string &value) {
            if (!value.empty())
                text += std::string(", ") + label + " " + printable(value);
        };
        add("model", device.model());
        for (const std::string &address : device.pci_addresses())
            add("PCI", address);
        add("PCI id", device.pci_id());
        add("UUID", device.uuid());
        for (const pb::Node &node : device.nodes())
            add("node",
                node.path() + " (" + number(node.major()) + ":" + number(node.minor()) + ")");
        text += device.configured() ? ", configured" : ", discovered";
        page.line("device " + number(device.index()), text);
    }
}

void add_rest(Page &page, const pb::Statement &statement) {
    for (const pb::Event &event : statement.events())
        page.line("event", event_name(event.kind()) + " at boot time " +
                               boot_time(event.boottime_ns()) + ": " + printable(event.detail()));
    if (statement.has_agent()) {
        const pb::Agent &agent = statement.agent();
        page.line("agent", "version " + printable(agent.version()) + ", build id " +
                               printable(agent.build_id()) + ", kernel " +
                               printable(agent.kernel()));
        page.line("config", "sha256 " + hex_or(agent.config_digest(), "none"));
    }
    if (!statement.certificate().empty())
        page.line("certificate", number(statement.certificate().size()) + " bytes, sha256 " +
                                     to_hex(sha256(view(statement.certificate()))));
}

std::string describe(const Entry &entry) {
    Page page;
    add_chain(page, entry);
    add_usage(page, entry);
    add_recording(page, entry.statement().recording());
    add_inventory(page, entry.statement().inventory());
    add_rest(page, entry.statement());
    return page.text();
}

} // namespace

Result<Selector> Selector::parse(const std::vector<std::string> &words) {
    Selector selector;
    auto last = parse_decimal(words.empty() ? "" : words.back());
    if (words.size() > 2 || !last)
        return Error{"show needs a log index, or a host and a sequence"};
    if (words.size() == 2) {
        selector.host = words[0];
        selector.sequence = *last;
    } else {
        selector.index = *last;
    }
    return selector;
}

bool Selector::matches(const Entry &entry) const {
    if (index)
        return entry.index == *index;
    return entry.statement().host() == host && entry.statement().sequence() == sequence;
}

std::string Selector::str() const {
    return index ? "log index " + number(*index)
                 : "host " + printable(host) + ", sequence " + number(sequence);
}

Result<std::string> show(const Source &source, const Trust &trust, const Selector &selector,
                         const WalkOptions &options) {
    std::string page; // of a fork both statements
    auto see = [&](const Entry &entry) {
        if (selector.matches(entry))
            page += (page.empty() ? "" : "\n") + describe(entry);
    };
    auto verified = walk(source, trust, see, options);
    if (!verified)
        return verified.error();
    const Checkpoint &checkpoint = verified->checkpoint;
    if (page.empty())
        return Error{"the log verifies, but its " + count_of(checkpoint.size, "attestation") +
                     " have no " + selector.str()};
    return page + "verified: log " + checkpoint.origin + ", " +
           count_of(checkpoint.size, "attestation") +
           "; this one's signature, certificate, place in its host's chain and in the log\n";
}

} // namespace tally
