// nvml: how busy each workload kept the engines of the NVIDIA GPUs that it holds, and the most
// memory that it had there, by the samples that the driver keeps and NVIDIA's management library
// tells.
//
//   whole GPU   busy by engine, from samples of each process; memory
//   MIG         memory alone, on the instance: NVML tells no use by process there
//   vGPU        busy by engine and memory of each mediated device, whoever works in its guest; of a
//               virtual function without one, NVML names nothing that the host knows it by
//
// Sampled: what is shorter than a sample may be seen in full or not at all, and of two that share
// an engine each sample names one. Where the GPU keeps accounts (nvidia-smi -am 1), a process that
// has ended also brings "accounted busy ms", over its whole life: another measure of the same.
//
// The library opens the devices itself. It is only open while somebody else holds one, so our own
// files never are a reason to look; in the record they are ours, held by this agent's cgroup.
#include "agent/clock.h"
#include "agent/work/aside.h"
#include "agent/work/nvidia/nvml_worker.h"
#include "agent/work/process_workload.h"
#include "agent/work/sources.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace tally {

namespace {

class Nvml : public WorkSource {
public:
    Nvml(const std::string &library, const std::string &proc)
        : worker_([library] { return std::make_unique<NvmlWorker>(library); }), owners_(proc) {}

    const char *name() const override { return "nvml"; }
    pb::Grade grade() const override { return pb::GRADE_SAMPLED; }
    std::string absence() const override { return absence_; }

    void look(const Look &look) override {
        add_readings(look);
        owners_.scanned(look.holdings);
        NvmlWanted wanted = wanted_by(look);
        if (!wanted.any()) {
            worker_.let_go();
            problem_.clear();
            return;
        }
        if (taken_ns_ == 0)
            taken_ns_ = look.boottime_ns;
        worker_.ask(wanted, look.boottime_ns);
        absence_ = worker_.absence("libnvidia-ml", look.boottime_ns);
        if (absence_.empty())
            absence_ = problem_;
    }

    WorkRows take(uint64_t boottime_ns) override {
        uint64_t length = boottime_ns - std::exchange(taken_ns_, boottime_ns);
        WorkRows rows = std::exchange(rows_, {});
        // Samples come up to a second late: what does not fit into this time is of the next.
        for (auto &[key, figures] : rows) {
            uint64_t busy = figures.busy_ns.value_or(0);
            if (busy <= length)
                continue;
            rows_[key].busy_ns = busy - length;
            figures.busy_ns = length;
        }
        uint64_t second = boottime_ns / kSecond;
        std::erase_if(active_, [&](const auto &row) { return row.second < second; });
        return rows;
    }

private:
    // The GPUs behind what is held, by NVIDIA's driver; not those that were passed to a guest
    // whole, which this host's library does not see.
    static NvmlWanted wanted_by(const Look &look) {
        std::map<std::string, const Device *> by_id;
        for (const auto &[index, device] : look.devices)
            by_id[device.id] = &device;
        NvmlWanted wanted;
        for (const wire_holding &holding : look.holdings) {
            auto held = look.devices.find(holding.device);
            if (held == look.devices.end())
                continue;
            const Device *device = &held->second;
            if (auto parent = by_id.find(device->parent); parent != by_id.end())
                device = parent->second;
            if (device->pci_id.starts_with("10de:") && device->driver == "nvidia")
                wanted.addresses.insert(device->pci_addresses.begin(), device->pci_addresses.end());
            wanted.all |= device->configured && device->pci_addresses.empty();
        }
        return wanted;
    }

    // The device that a part of a reading is about. A GPU that the inventory has no address of can
    // only be what the operator named.
    static std::optional<uint32_t> device_of(const Look &look, const std::string &gpu,
                                             const std::string &instance) {
        std::optional<uint32_t> whole, part;
        std::set<uint32_t> named;
        std::string mig = "mig:", mdev = "mdev:"; // ids as agent/inventory/ makes them
        mig.append(gpu).append("/").append(instance);
        mdev.append(instance);
        for (const auto &[index, device] : look.devices) {
            const auto &addresses = device.pci_addresses;
            if (std::find(addresses.begin(), addresses.end(), gpu) != addresses.end())
                whole = index;
            if (!instance.empty() && (device.id == mig || device.id == mdev))
                part = index;
            if (device.configured && addresses.empty())
                named.insert(index);
        }
        if (part || whole)
            return part ? part : whole;
        return named.size() == 1 ? std::optional(*named.begin()) : std::nullopt;
    }

    // Whoever alone holds it.
    static uint64_t holder_of(const Look &look, const std::optional<uint32_t> &device) {
        std::set<uint64_t> holders;
        for (const wire_holding &holding : look.holdings) {
            if (device == holding.device)
                holders.insert(holding.workload);
        }
        return holders.size() == 1 ? *holders.begin() : 0;
    }

    void add_readings(const Look &look) {
        std::map<std::string, std::string> problems; // by GPU, as last read
        for (const NvmlReading &reading : worker_.take()) {
            problems[reading.gpu] = reading.problem;
            std::map<WorkKey, uint64_t> memory; // at once
            for (const NvmlPart &part : reading.parts) {
                auto device = device_of(look, reading.gpu, part.instance);
                uint64_t workload =
                    part.process != 0 ? owners_.of(part.process) : holder_of(look, device);
                if (workload == 0 && !device)
                    continue; // nobody's, on nothing that is known
                add_busy(part.busy, {workload, device, ""}, reading.boottime_ns / kSecond);
                memory[{workload, device, ""}] += part.memory_bytes;
                if (part.accounted_ms > 0)
                    rows_[{workload, device, ""}].counts["accounted busy ms"] += part.accounted_ms;
            }
            for (const auto &[key, bytes] : memory) {
                uint64_t &most = rows_[key].memory_bytes;
                most = std::max(most, bytes);
            }
            auto device = device_of(look, reading.gpu, "");
            if (device && reading.rejected > 0)
                rows_[{0, device, ""}].counts["samples rejected"] += reading.rejected;
        }
        if (!problems.empty())
            problem_.clear();
        for (const auto &[gpu, problem] : problems) {
            if (problem_.empty())
                problem_ = problem;
        }
    }

    void add_busy(const NvmlTimes &busy, WorkKey key, uint64_t second) {
        for (size_t i = 0; i < busy.size(); i++) {
            if (busy[i] == 0)
                continue;
            key.engine = kNvmlEngines[i];
            WorkFigures &figures = rows_[key];
            figures.busy_ns = figures.busy_ns.value_or(0) + busy[i];
            if (std::exchange(active_[key], second) != second)
                figures.active_seconds++;
        }
    }

    Aside<NvmlWorker> worker_;
    ProcessWorkloads owners_;
    std::string absence_;
    std::string problem_;                // of the last readings
    WorkRows rows_;                      // since the last take
    uint64_t taken_ns_ = 0;              // CLOCK_BOOTTIME; 0: never looked
    std::map<WorkKey, uint64_t> active_; // the last second that was counted as active
};

} // namespace

std::unique_ptr<WorkSource> nvml_source(const std::string &library, const std::string &proc) {
    return std::make_unique<Nvml>(library, proc);
}

} // namespace tally
