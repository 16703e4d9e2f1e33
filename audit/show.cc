#include "audit/show.h"

#include "attest/names.h"
#include "attest/parties.h"
#include "base/text.h"
#include "findings/finding.h"
#include "findings/names.h"

namespace tally {

namespace {

constexpr size_t kLabelWidth = 14;

std::string boot_time(uint64_t ns) {
    return decimal_seconds(ns) + " s";
}

std::string hex_or(const std::string &bytes, const char *otherwise) {
    return bytes.empty() ? otherwise : to_hex(view(bytes));
}

void add_chain(Page &page, const Entry &entry) {
    const pb::Statement &statement = entry.statement();
    page.line("log index", std::to_string(entry.index));
    page.line("sha256", to_hex(entry.opened.digest));
    page.line("signed by", "key " + to_hex(sha256(entry.opened.signing_key)));
    page.line("host", printable(statement.host()));
    page.line("boot id", to_hex(view(statement.boot_id())));
    page.line("sequence", std::to_string(statement.sequence()) + ", part " +
                              std::to_string(statement.part() + 1) + " of " +
                              std::to_string(statement.parts()));
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

// Who a workload is and why it is its tenant's, where the statement says so.
void add_names(Page &page, const pb::Workload &workload) {
    const pb::Attribution &attribution = workload.attribution();
    std::string terms;
    for (auto [label, value] : {std::pair("country ", &attribution.country()),
                                std::pair("account ", &attribution.account()),
                                std::pair("contract ", &attribution.contract())}) {
        if (!value->empty())
            terms += (terms.empty() ? "" : ", ") + (label + printable(*value));
    }
    if (!terms.empty())
        page.line("", terms);
    if (!attribution.rule().empty())
        page.line("", "by rule " + printable(attribution.rule(), 4096) + ", file's sha256 " +
                          hex_or(attribution.digest(), "not told"));
    if (workload.has_opener())
        page.line("", "opened first by " + printable(opener_name(workload.opener())));
    if (!workload.has_identity())
        return;
    std::string names;
    for (const pb::Name &name : workload.identity().names())
        names += ", " + printable(name.key()) + " " + printable(name.value());
    page.line("", "known to " + printable(workload.identity().source()) + names);
    for (const pb::Origin &origin : workload.identity().origins())
        page.line("", "read from " + printable(origin.path(), 4096) + ", sha256 " +
                          to_hex(view(origin.digest())));
}

void add_usage(Page &page, const Entry &entry) {
    const pb::Statement &statement = entry.statement();
    for (int i = 0; i < statement.workloads_size(); i++) {
        const pb::Workload &workload = statement.workloads(i);
        std::string tenant = kUnattributed;
        if (!workload.service().empty())
            tenant = "service " + printable(workload.service());
        if (!workload.tenant().empty())
            tenant = "tenant " + printable(workload.tenant());
        for (const std::string &party : parties_above(workload))
            tenant += " through " + printable(party);
        page.line("workload " + std::to_string(i),
                  tenant + ", cgroup " + printable(workload.cgroup_path(), 4096) + " (id " +
                      std::to_string(workload.cgroup_id()) + ")");
        add_names(page, workload);
    }
    for (const pb::Usage &usage : statement.usage())
        page.line("usage",
                  "workload " + std::to_string(usage.workload()) + " on device " +
                      std::to_string(usage.device()) + " (" + printable(entry.device_id(usage)) +
                      "): held " + duration(usage.held_ns()) + ", opens " +
                      std::to_string(usage.opens()) + ", found " + std::to_string(usage.found()) +
                      ", releases " + std::to_string(usage.releases()) + ", open at the end " +
                      std::to_string(usage.open_files()) +
                      (held_is_lower_bound(usage)
                           ? ", without room for " + std::to_string(usage.untracked()) + " files" +
                                 (usage.was_untracked() ? " and perhaps some of before" : "") +
                                 ": held at least"
                           : ""));
}

void add_occupancy(Page &page, const Entry &entry) {
    for (const pb::Occupancy &row : entry.statement().occupancy())
        page.line("occupancy",
                  "device " + std::to_string(row.device()) + " (" +
                      printable(entry.device_id(row.device())) + "): held by anybody for " +
                      duration(row.occupied_ns()) +
                      (row.late_ns() > 0 ? ", of which " + duration(row.late_ns()) +
                                               " nobody's at most: an end was learnt late"
                                         : ""));
}

void add_work(Page &page, const Entry &entry) {
    for (const pb::Work &work : entry.statement().work()) {
        std::string text =
            work.has_workload() ? "workload " + std::to_string(work.workload()) : "all";
        text += work.has_device() ? " on device " + std::to_string(work.device())
                                  : " on devices it held";
        if (!work.engine().empty())
            text += ", engine " + printable(work.engine());
        text += ": by " + printable(work.source()) + ", grade " + grade_name(work.grade());
        if (work.has_busy_ns())
            text += ", busy " + duration(work.busy_ns()) + " of " +
                    std::to_string(work.capacity()) + " times the window";
        text += ", active in " + count_of(work.active_seconds(), "second");
        for (const pb::Count &count : work.counts())
            text += ", " + std::to_string(count.count()) + " " + printable(count.what());
        if (work.memory_bytes() > 0)
            text += ", at most " + std::to_string(work.memory_bytes()) + " bytes of memory";
        page.line("work", text);
    }
}

void add_recording(Page &page, const pb::Recording &recording) {
    page.line("recording",
              "rung " + rung_name(recording.rung()) + ": " + rung_precision(recording.rung()) +
                  "; without a pause since boot time " + boot_time(recording.since_boottime_ns()));
    page.line("scans", std::to_string(recording.scans()) + ", longest gap " +
                           decimal_seconds(recording.longest_scan_gap_ns()) +
                           " s; totals read within " + decimal_seconds(recording.reading_ns()) +
                           " s of the end");
    for (const pb::Loss &loss : recording.losses())
        page.line("lost", std::to_string(loss.count()) + ": " + printable(loss.place()));
    page.line("maps", "usage " + std::to_string(recording.usage_map().entries()) + " of " +
                          std::to_string(recording.usage_map().capacity()) + ", holders " +
                          std::to_string(recording.holder_map().entries()) + " of " +
                          std::to_string(recording.holder_map().capacity()));
    for (const pb::SourceState &source : recording.sources())
        page.line("source",
                  printable(source.name()) +
                      (source.at_work() ? ", at work" : ": " + printable(source.reason())));
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
        add("part of", device.parent());
        add("part", device.profile());
        add("vendor", device.vendor());
        add("model", device.model());
        add("architecture", device.architecture());
        if (device.instances() > 0)
            add("divided in", std::to_string(device.instances()));
        for (const std::string &address : device.pci_addresses())
            add("PCI", address);
        add("PCI id", device.pci_id());
        add("subsystem id", device.subsystem_id());
        add("UUID", device.uuid());
        add("serial number", device.serial());
        if (device.has_numa_node())
            add("NUMA node", std::to_string(device.numa_node()));
        add("driver", device.driver());
        add("driver version", device.driver_version());
        for (const pb::Node &node : device.nodes())
            add("node", node.path() + " (" + std::to_string(node.major()) + ":" +
                            std::to_string(node.minor()) + ")");
        text += device.configured() ? ", configured" : ", discovered";
        text += device.absent() ? ", not here any more" : "";
        page.line("device " + std::to_string(device.index()), text);
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
        page.line("certificate", std::to_string(statement.certificate().size()) +
                                     " bytes, sha256 " +
                                     to_hex(sha256(view(statement.certificate()))));
}

std::string describe(const Entry &entry, const Unsealer *unsealer) {
    Page page(kLabelWidth);
    add_chain(page, entry);
    add_usage(page, entry);
    add_occupancy(page, entry);
    add_work(page, entry);
    add_recording(page, entry.statement().recording());
    add_inventory(page, entry.statement().inventory());
    add_rest(page, entry.statement());
    Boxes(unsealer).add(page, entry);
    return page.text();
}

std::string describe(const ExplanationEntry &entry) {
    const OpenedExplanation &opened = entry.opened;
    const pb::Explanation &said = opened.explanation;
    Page page(kLabelWidth);
    page.line("log index", std::to_string(entry.index));
    page.line("sha256", to_hex(opened.digest));
    page.line("signed by", opened.who + ", " + utc_time(said.wall_ns()) + " by its own clock");
    for (const pb::FindingName &name : said.findings())
        page.line(said.withdrawn() ? "opens again" : "explains",
                  id_of(name) + ": " + name.host() +
                      (name.sequence() > 0 ? ", sequence " + std::to_string(name.sequence()) : "") +
                      ", log index " + std::to_string(name.log_index()) + ", sha256 " +
                      to_hex(view(name.entry())));
    page.line("why", said.why());
    page.line("reference", said.reference().empty() ? "none" : said.reference());
    page.line("certificate", std::to_string(said.certificate().size()) + " bytes, sha256 " +
                                 to_hex(sha256(view(said.certificate()))));
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
    return index ? "log index " + std::to_string(*index)
                 : "host " + printable(host) + ", sequence " + std::to_string(sequence);
}

Result<std::string> show(const Source &source, const Trust &trust, const Selector &selector,
                         const WalkOptions &options) {
    std::string page; // of a fork both statements
    auto see = [&](const Entry &entry) {
        if (selector.matches(entry))
            page += (page.empty() ? "" : "\n") + describe(entry, options.unsealer);
    };
    bool explanation = false;
    WalkOptions with = options;
    with.explanation = [&](const ExplanationEntry &entry) {
        if (selector.index != entry.index)
            return;
        page = describe(entry);
        explanation = true;
    };
    auto verified = walk(source, trust, see, with);
    if (!verified)
        return verified.error();
    if (page.empty())
        return Error{"the log verifies, but its " +
                     entries_in_words(verified->checkpoint.size, verified->explanations) +
                     " have no " + selector.str()};
    if (options.unsealer != nullptr) {
        for (const Finding &finding : options.unsealer->findings())
            page += "finding: sealed: " + finding.host + ", sequence " +
                    std::to_string(finding.sequence) + ": " + finding.text + "\n";
    }
    return page + "verified: " + verified->in_words() + "; this one's signature, certificate, " +
           (explanation ? "and place in the log; whether it counts, `tally findings` says\n"
                        : "place in its host's chain and in the log\n");
}

} // namespace tally
