// interrupts: how often each held device interrupted the host, by the kernel's irq_handler_entry
// tracepoint. It is the evidence that remains for a device that was passed through whole.
//
// Proves that the device did something. A low count proves nothing: a guest can poll, and posted
// interrupts (VT-d) bypass the host.
//
// Which numbers are a device's: /sys/bus/pci/devices/<address>/msi_irqs/*
// (Documentation/ABI/testing/ sysfs-bus-pci) or, without MSI, the file irq beside it, which may be
// shared.
#include "agent/work/sources.h"
#include "base/bytes.h"
#include "base/durable.h"

#include "bpf/work/interrupts.skel.h"
#include "bpf/work/wire.h"

#include <bpf/bpf.h>
#include <cerrno>
#include <filesystem>
#include <set>

namespace tally {

namespace {

namespace fs = std::filesystem;

struct Destroy {
    void operator()(interrupts_bpf *skeleton) const { interrupts_bpf__destroy(skeleton); }
};

// Interrupt numbers of a PCI function.
std::set<uint32_t> numbers_of(const std::string &sys, const std::string &address) {
    std::set<uint32_t> numbers;
    fs::path function = fs::path(sys) / "bus/pci/devices" / address;
    std::error_code none;
    for (fs::directory_iterator at(function / "msi_irqs", none), end; !none && at != end;
         at.increment(none)) {
        if (auto number = parse_decimal(at->path().filename().string()))
            numbers.insert(static_cast<uint32_t>(*number));
    }
    if (!numbers.empty())
        return numbers;
    auto line = read_text(function / "irq", 64);
    if (!line)
        return numbers;
    std::string_view rest = *line;
    auto number = parse_decimal(take_until(rest, '\n'));
    if (number && *number != 0) // 0: none
        numbers.insert(static_cast<uint32_t>(*number));
    return numbers;
}

class Interrupts : public WorkSource {
public:
    explicit Interrupts(std::string sys) : sys_(std::move(sys)) {}

    const char *name() const override { return "interrupts"; }
    pb::Grade grade() const override { return pb::GRADE_ABLE; }
    std::string absence() const override { return absence_; }

    void look(const Look &look) override {
        std::map<uint32_t, uint32_t> wanted; // interrupt number -> device index
        std::set<uint32_t> seen;
        for (const wire_holding &holding : look.holdings) {
            auto device = look.devices.find(holding.device);
            if (device == look.devices.end() || !seen.insert(holding.device).second)
                continue;
            for (const std::string &address : device->second.pci_addresses) {
                for (uint32_t number : numbers_of(sys_, address))
                    wanted[number] = holding.device;
            }
        }
        if (wanted.empty()) {
            let_go();
            return;
        }
        if (!attach())
            return;
        name_numbers(wanted);
    }

    WorkRows take(uint64_t) override {
        WorkRows rows = std::exchange(left_, {});
        if (!skeleton_)
            return rows;
        for (auto &[device, before] : counted_) {
            work_activity now = {};
            if (bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.interrupts), &device, &now) != 0)
                continue;
            WorkFigures &figures = rows[{0, device, ""}];
            figures.counts["interrupts"] += now.count - before.count;
            figures.active_seconds +=
                static_cast<uint32_t>(now.active_seconds - before.active_seconds);
            before = now;
        }
        return rows;
    }

private:
    bool attach() {
        if (skeleton_)
            return true;
        skeleton_.reset(interrupts_bpf__open_and_load());
        if (!skeleton_ || interrupts_bpf__attach(skeleton_.get()) != 0) {
            absence_ = errno_error("attach irq_handler_entry").message;
            skeleton_.reset();
            return false;
        }
        absence_.clear();
        return true;
    }

    // Nothing held has an interrupt: the program goes, and costs nothing.
    void let_go() {
        if (!skeleton_)
            return;
        left_ = take(0);
        skeleton_.reset();
        counted_.clear();
        numbers_.clear();
    }

    void name_numbers(const std::map<uint32_t, uint32_t> &wanted) {
        int devices = bpf_map__fd(skeleton_->maps.interrupt_devices);
        int counts = bpf_map__fd(skeleton_->maps.interrupts);
        for (const auto &[number, device] : wanted) {
            work_activity none = {};
            if (!counted_.contains(device) &&
                bpf_map_update_elem(counts, &device, &none, BPF_NOEXIST) == 0)
                counted_[device] = none;
            if (bpf_map_update_elem(devices, &number, &device, BPF_ANY) != 0)
                absence_ = errno_error("name interrupt " + std::to_string(number)).message;
        }
        for (const auto &[number, device] : numbers_) {
            if (!wanted.contains(number))
                bpf_map_delete_elem(devices, &number);
        }
        numbers_ = wanted;
    }

    std::string sys_;
    std::string absence_;
    std::unique_ptr<interrupts_bpf, Destroy> skeleton_;
    std::map<uint32_t, uint32_t> numbers_;      // that the kernel was told
    std::map<uint32_t, work_activity> counted_; // by device, as last taken
    WorkRows left_;                             // counted before the program was let go of
};

} // namespace

std::unique_ptr<WorkSource> interrupts_source(const std::string &sys) {
    return std::make_unique<Interrupts>(sys);
}

} // namespace tally
