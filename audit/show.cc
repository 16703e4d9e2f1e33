#include "audit/show.h"

#include "attest/names.h"
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

// The boxes, and the names in them if they were opened.
class Boxes {
public:
    explicit Boxes(const Unsealer *unsealer) : unsealer_(unsealer) {}

    void add(Page &page, const Entry &entry) const {
        const pb::Statement &statement = entry.statement();
        if (!statement.has_sealing())
            return;
        page.line("sealed",
                  "names for the key with sha256 " + to_hex(view(statement.sealing().key())));
        for (const pb::Workload &workload : statement.workloads()) {
            for (const pb::SealedName &sealed : workload.sealed())
                add(page, statement.host(), sealed);
        }
        for (const pb::Event &event : statement.events()) {
            if (event.has_sealed())
                add(page, statement.host(), event.sealed());
        }
    }

private:
    void add(Page &page, const std::string &host, const pb::SealedName &sealed) const {
        auto name = unsealer_ != nullptr ? unsealer_->name(host, sealed.token()) : std::nullopt;
        page.line("", printable(sealed.token()) +
                          (name ? " is " + printable(value_of(*name), 4096) : ""));
    }

    const Unsealer *unsealer_;
};

// What is only said when a workload is told in full.
void add_identity(Page &page, const pb::Workload &workload) {
    if (workload.has_identity()) {
        const pb::Identity &identity = workload.identity();
        std::string names = printable(identity.source()) + ":";
        for (const pb::Name &name : identity.names())
            names += " " + printable(name.key()) + "=" + printable(name.value());
        page.line("", names);
        for (const pb::Origin &origin : identity.origins())
            page.line("", "read from " + printable(origin.path(), 4096) + ", sha256 " +
                              hex_or(origin.digest(), "not told"));
    }
    if (workload.has_attribution())
        page.line("", "by rule " + printable(workload.attribution().rule(), 4096) +
                          ", file's sha256 " + hex_or(workload.attribution().digest(), "not told"));
    if (workload.has_opener())
        page.line("", "opened first by " + printable(opener_name(workload.opener())));
}

void add_usage(Page &page, const Entry &entry) {
    const pb::Statement &statement = entry.statement();
    for (int i = 0; i < statement.workloads_size(); i++) {
        const pb::Workload &workload = statement.workloads(i);
        std::string tenant = "unattributed";
        if (!workload.tenant().empty())
            tenant = "tenant " + printable(workload.tenant());
        if (!workload.parent().empty())
            tenant += " through " + printable(workload.parent());
        page.line("workload " + number(static_cast<uint64_t>(i)),
                  tenant + ", cgroup " + printable(workload.cgroup_path(), 4096) + " (id " +
                      number(workload.cgroup_id()) + ")");
        add_identity(page, workload);
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
        page.line("agent",
                  "version " + printable(agent.version()) + ", build id " +
                      printable(agent.build_id()) + ", kernel " + printable(agent.kernel()) +
                      (agent.privacy().empty() ? "" : ", privacy " + printable(agent.privacy())));
        page.line("config", "sha256 " + hex_or(agent.config_digest(), "none"));
    }
    if (!statement.certificate().empty())
        page.line("certificate", number(statement.certificate().size()) + " bytes, sha256 " +
                                     to_hex(sha256(view(statement.certificate()))));
}

std::string describe(const Entry &entry, const Unsealer *unsealer) {
    Page page;
    add_chain(page, entry);
    add_usage(page, entry);
    add_recording(page, entry.statement().recording());
    add_inventory(page, entry.statement().inventory());
    add_rest(page, entry.statement());
    Boxes(unsealer).add(page, entry);
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
            page += (page.empty() ? "" : "\n") + describe(entry, options.unsealer);
    };
    auto verified = walk(source, trust, see, options);
    if (!verified)
        return verified.error();
    const Checkpoint &checkpoint = verified->checkpoint;
    if (page.empty())
        return Error{"the log verifies, but its " + count_of(checkpoint.size, "attestation") +
                     " have no " + selector.str()};
    for (const std::string &note : verified->notes)
        page += "note: " + note + "\n";
    if (options.unsealer != nullptr) {
        for (const Finding &finding : options.unsealer->findings())
            page += "finding: sealed: " + finding.host + ", sequence " +
                    std::to_string(finding.sequence) + ": " + finding.text + "\n";
    }
    return page + "verified: log " + checkpoint.origin + ", " +
           count_of(checkpoint.size, "attestation") +
           "; this one's signature, certificate, place in its host's chain and in the log\n";
}

} // namespace tally
