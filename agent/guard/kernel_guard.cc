#include "agent/guard/kernel_guard.h"

#include <algorithm>
#include <set>
#include <unistd.h>

namespace tally {

KernelGuard::KernelGuard(const Recorder &recorder, Workloads &workloads, const Inventory &inventory,
                         Events &events, const Log &log)
    : recorder_(recorder), workloads_(workloads), inventory_(inventory), events_(events), log_(log),
      custody_(recorder.kernel(), [this](pb::Event::Kind kind, const std::string &detail) {
          note(kind, detail, now().boottime_ns);
      }) {
    auto deeds = DeedRing::open(recorder.kernel().map("guards"));
    hooks_.push_back(
        {"guard ring", static_cast<bool>(deeds), deeds ? "" : deeds.error().message, ""});
    if (deeds)
        deeds_ = std::move(*deeds);
}

void KernelGuard::note(pb::Event::Kind kind, const std::string &detail, uint64_t boottime_ns) {
    if (events_.note(kind, detail, boottime_ns))
        log_.warning(event_line(kind, detail));
}

void KernelGuard::taken_up(bool same_boot) {
    const KernelSide &kernel = recorder_.kernel();
    std::string lost = kernel.lost_pins();
    if (lost.empty() && same_boot && kernel.pins() && !kernel.adopted() &&
        kernel.inherited_usage() == nullptr)
        lost = "all";
    if (!lost.empty())
        note(pb::Event::KIND_PIN_REMOVED,
             lost + ", while no agent ran: what was recorded since the last statement is lost",
             now().boottime_ns);
}

void KernelGuard::add_canary(std::map<uint32_t, uint32_t> &numbers) {
    if (!canary_ || numbers.contains(canary_->number())) {
        auto canary = Canary::open(numbers);
        std::erase_if(hooks_, [](const HookState &hook) { return hook.name == "canary"; });
        hooks_.push_back(
            {"canary", static_cast<bool>(canary), canary ? "" : canary.error().message, ""});
        canary_.reset();
        if (canary)
            canary_.emplace(std::move(*canary));
    }
    if (canary_)
        numbers[canary_->number()] = WIRE_CANARY;
}

void KernelGuard::devices_corrected(size_t entries) {
    note(pb::Event::KIND_FOREIGN_BPF,
         std::to_string(entries) +
             " entries of the list of watched devices were changed, and are " + "restored",
         now().boottime_ns);
}

void KernelGuard::inspect() {
    custody_.check();
    try_hooks();
    read_deeds();
}

void KernelGuard::try_hooks() {
    if (!canary_)
        return;
    wire_state &state = recorder_.kernel().state();
    std::set<std::string> attached;
    for (const HookState &hook : recorder_.hooks()) {
        if (hook.attached)
            attached.insert(hook.name);
    }
    std::vector<std::string> silent = canary_->silent_hooks(recorder_.rung(), attached, state);
    bool scanned = recorder_.scans() != std::exchange(scans_, recorder_.scans());
    if (scanned && !canary_->found_by_scan(state))
        silent.push_back("scan");
    for (const std::string &hook : silent)
        note(pb::Event::KIND_HOOK_LOST,
             hook + ": attached, but it does not see what the agent itself does",
             now().boottime_ns);
    hooks_fire_ = silent.empty();
}

void KernelGuard::read_deeds() {
    if (!deeds_)
        return;
    DeedNames names;
    names.workload = [this](uint64_t id) { return workloads_.name(id).cgroup_path; };
    names.object = [this](wire_object_kind kind, uint32_t id) {
        return custody_.name_of(kind, id);
    };
    names.watched = [this](const std::string &address) {
        return std::any_of(inventory_.all().begin(), inventory_.all().end(), [&](auto &entry) {
            const auto &addresses = entry.second.pci_addresses;
            return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
        });
    };
    names.agent = static_cast<uint32_t>(getpid());
    for (const Deed &deed : tell_deeds(deeds_->read(), names))
        note(deed.kind, deed.detail, deed.boottime_ns);
}

} // namespace tally
