// fecs: how long each process was on the graphics and compute engine of the NVIDIA GPUs that are
// held, and of each MIG instance, by the driver's context-switch log: every switch, to the
// nanosecond.
//
// UNPROVEN: written from the headers and sources of NVIDIA's open kernel modules, and tried against
// a script that answers and logs as they say, never against a GPU. What only hardware can tell:
// that the log comes at all, whether a context that has nothing to do is taken off the engine when
// nobody else wants it (until then the log says that it runs), and what it costs. Off unless [work]
// sources names it.
//
//   whole GPU   engine "gr": graphics and compute; copy engines and video units are not in the log
//   MIG         on the instance, which has an engine of its own; asks RM to be let profile them all
//
// Where records were lost ("records dropped"), busy is a lower bound. A run whose end was lost ends
// where the next begins, and is among "runs uncertain", as are those without a beginning.
//
// To read the log is to open the devices. They are only open while somebody else holds one, so our
// own files never are a reason to look; in the record they are ours, held by this agent's cgroup.
#include "agent/work/aside.h"
#include "agent/work/nvidia/fecs_reader.h"
#include "agent/work/process_workload.h"
#include "agent/work/sources.h"

#include <algorithm>
#include <set>
#include <unistd.h>

namespace tally {

namespace {

constexpr const char *kUnproven = "unproven on hardware; ";
constexpr const char *kEngine = "gr";

class Fecs : public WorkSource {
public:
    Fecs(const std::string &dev, const std::string &proc)
        : reader_([dev] { return std::make_unique<FecsReader>(dev); }), owners_(proc) {}

    const char *name() const override { return "fecs"; }
    pb::Grade grade() const override { return pb::GRADE_EXACT; }
    std::string absence() const override { return absence_; }

    void look(const Look &look) override {
        owners_.scanned(look.holdings);
        gather();
        FecsWanted wanted = find_gpus(look);
        if (!wanted.any()) {
            reader_.let_go();
            problems_.clear();
            return;
        }
        if (taken_ns_ == 0)
            taken_ns_ = look.boottime_ns;
        reader_.ask(wanted, look.boottime_ns);
        absence_ = reader_.absence("NVIDIA's driver", look.boottime_ns);
        for (const auto &[gpu, problem] : problems_) {
            if (absence_.empty())
                absence_ = problem;
        }
        if (!absence_.empty())
            absence_.insert(0, kUnproven);
    }

    WorkRows take(uint64_t boottime_ns) override {
        gather();
        uint64_t length = boottime_ns - std::exchange(taken_ns_, boottime_ns);
        WorkRows rows = std::exchange(rows_, {});
        // Readings come up to a second late: what does not fit into this time is of the next.
        for (auto &[key, figures] : rows) {
            uint64_t most = length * figures.capacity;
            if (figures.busy_ns.value_or(0) <= most)
                continue;
            WorkFigures &later = rows_[key];
            later.busy_ns = *figures.busy_ns - most;
            later.capacity = figures.capacity;
            figures.busy_ns = most;
        }
        uint64_t second = boottime_ns / kSecond;
        std::erase_if(active_, [&](const auto &row) { return row.second + 1 < second; });
        return rows;
    }

private:
    // Those that somebody else holds, whole or in part, by NVIDIA's driver on this host; and where
    // each of them and its parts are in the inventory.
    FecsWanted find_gpus(const Look &look) {
        std::map<std::string, const Device *> by_id;
        for (const auto &[index, device] : look.devices) {
            by_id[device.id] = &device;
            if (device.kind == pb::Device::KIND_MIG_INSTANCE)
                devices_[device.id] = index;
            else if (device.pci_addresses.size() == 1)
                devices_[device.pci_addresses[0]] = index;
        }
        FecsWanted wanted;
        auto self = static_cast<uint32_t>(getpid());
        for (const wire_holding &holding : look.holdings) {
            auto held = look.devices.find(holding.device);
            if (held == look.devices.end() || holding.process == self)
                continue;
            const Device *gpu = &held->second;
            if (auto parent = by_id.find(gpu->parent); parent != by_id.end())
                gpu = parent->second;
            if (!gpu->pci_id.starts_with("10de:") || gpu->driver != "nvidia" ||
                gpu->pci_addresses.size() != 1)
                continue;
            wanted.release = gpu->driver_version;
            wanted.gpus[gpu->pci_addresses[0]] = gpu->instances > 0;
            divided_[gpu->pci_addresses[0]] = gpu->instances;
        }
        return wanted;
    }

    std::optional<uint32_t> device_of(const std::string &gpu, const FecsUser &user) const {
        std::string instance = "mig:" + gpu + "/gi" + std::to_string(user.gpu_instance) + "/ci" +
                               std::to_string(user.compute_instance);
        auto found = devices_.find(instance);
        if (user.gpu_instance > kFecsLastInstance || found == devices_.end())
            found = devices_.find(gpu);
        return found == devices_.end() ? std::nullopt : std::optional(found->second);
    }

    void gather() {
        for (const FecsReading &reading : reader_.take()) {
            problems_.erase(reading.gpu);
            if (!reading.problem.empty())
                problems_[reading.gpu] = reading.problem;
            for (const auto &[user, use] : reading.taken.uses) {
                auto device = device_of(reading.gpu, user);
                if (!device)
                    continue;
                uint64_t workload = user.process == kFecsHidden ? 0 : owners_.of(user.process);
                add({workload, device, kEngine}, use, reading);
            }
            auto whole = devices_.find(reading.gpu);
            if (whole != devices_.end())
                add_doubts({0, whole->second, kEngine}, reading.taken);
        }
    }

    void add(const WorkKey &key, const FecsUse &use, const FecsReading &reading) {
        WorkFigures &figures = rows_[key];
        figures.busy_ns = figures.busy_ns.value_or(0) + use.busy_ns;
        figures.counts["switches"] += use.switches;
        // Of a divided GPU what is not on an instance can be on several engines.
        auto whole = devices_.find(reading.gpu);
        if (whole != devices_.end() && key.device == whole->second)
            figures.capacity = std::max(1U, divided_[reading.gpu]);
        uint64_t second = reading.boottime_ns / kSecond;
        if (std::exchange(active_[key], second) != second)
            figures.active_seconds++;
    }

    void add_doubts(const WorkKey &key, const FecsTaken &taken) {
        if (taken.dropped + taken.rejected + taken.uncertain == 0)
            return;
        auto &counts = rows_[key].counts;
        counts["records dropped"] += taken.dropped;
        counts["records rejected"] += taken.rejected;
        counts["runs uncertain"] += taken.uncertain;
    }

    Aside<FecsReader> reader_;
    ProcessWorkloads owners_;
    std::string absence_;
    std::map<std::string, std::string> problems_; // by PCI address
    std::map<std::string, uint32_t> devices_;     // PCI address or a MIG instance's id -> index
    std::map<std::string, uint32_t> divided_;     // PCI address -> instances
    WorkRows rows_;                               // since the last take
    uint64_t taken_ns_ = 0;                       // CLOCK_BOOTTIME; 0: never looked
    std::map<WorkKey, uint64_t> active_;          // the last second that was counted as active
};

} // namespace

std::unique_ptr<WorkSource> fecs_source(const std::string &dev, const std::string &proc) {
    return std::make_unique<Fecs>(dev, proc);
}

} // namespace tally
