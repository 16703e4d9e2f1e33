#include "agent/work/nvidia/nvml_reader.h"

#include "agent/clock.h"

#include <algorithm>

namespace tally {

namespace {

constexpr uint64_t kSecondUs = 1'000'000;
// A sample is there this long after its time, at the latest: so at six samples a second, of which
// the last may still be to come. Older than that, the newest one tells that there was nothing
// since.
constexpr uint64_t kLateUs = kSecondUs / 4;
// The ring goes no further back.
constexpr uint64_t kRingUs = 10 * kSecondUs;
// Clocks are read one after the other; a sample from later than this is no sample.
constexpr uint64_t kSlackUs = kSecondUs;

NvmlMoment moment() {
    Instant at = now();
    return {at.wall_ns / 1000, at.boottime_ns / 1000};
}

bool can_be(const NvmlUse &use, const NvmlMark &mark, const NvmlMoment &at) {
    return use.who != 0 && use.wall_us > mark.since_us && use.wall_us <= at.wall_us + kSlackUs &&
           std::all_of(use.percent.begin(), use.percent.end(),
                       [](uint64_t percent) { return percent <= 100; });
}

// For how long a reading speaks. The averages go back no further than the ring; and if somebody set
// the wall clock meanwhile, no further than the boot clock says.
uint64_t span_us(uint64_t newest_us, const NvmlMark &mark, const NvmlMoment &at) {
    uint64_t end = std::max(newest_us, at.wall_us - kLateUs);
    uint64_t passed = at.boottime_us - mark.boottime_us + kSlackUs;
    return std::min({end - mark.since_us, passed, kRingUs});
}

} // namespace

NvmlSum sum_uses(const std::vector<NvmlUse> &uses, NvmlMark &mark, const NvmlMoment &at) {
    NvmlSum sum;
    if (mark.since_us == 0 || mark.since_us > at.wall_us + kSlackUs) // or the clock was set back
        mark.since_us = at.wall_us;
    uint64_t newest_us = 0;
    std::map<uint32_t, uint64_t> entries; // of each
    NvmlTimes total = {};
    for (const NvmlUse &use : uses) {
        if (!can_be(use, mark, at)) {
            sum.rejected++;
            continue;
        }
        newest_us = std::max(newest_us, use.wall_us);
        entries[use.who]++;
        NvmlTimes &percent = sum.busy[use.who];
        for (size_t i = 0; i < percent.size(); i++) {
            percent[i] += use.percent[i];
            total[i] += use.percent[i];
        }
    }
    if (newest_us == 0) {
        // Nobody was there. What is late will still be asked for.
        mark.since_us = std::max(mark.since_us, at.wall_us - kSecondUs);
        mark.boottime_us = at.boottime_us;
        return sum;
    }
    // An average each; but if anybody is listed twice these are the samples themselves, and each is
    // its share of the time.
    bool single = std::all_of(entries.begin(), entries.end(),
                              [](const auto &entry) { return entry.second == 1; });
    uint64_t samples = 0;
    for (const auto &[who, count] : entries)
        samples += count;
    uint64_t divisor = single ? 1 : samples;
    uint64_t span_ns = span_us(newest_us, mark, at) * 1000;
    for (auto &[who, percent] : sum.busy) {
        for (size_t i = 0; i < percent.size(); i++)
            percent[i] = span_ns / std::max<uint64_t>(100 * divisor, total[i]) * percent[i];
    }
    mark = {newest_us, at.boottime_us};
    return sum;
}

Result<std::vector<NvmlReading>> NvmlReader::read(const NvmlLibrary &nvml,
                                                  const NvmlWanted &wanted) {
    std::vector<NvmlReading> readings;
    std::map<std::string, NvmlLibrary::Gpu> gpus;
    Error failure{"there is no GPU"};
    for (const std::string &address : wanted.addresses) {
        auto gpu = nvml.gpu(address);
        if (gpu) {
            gpus[address] = *gpu;
        } else {
            failure = gpu.error();
            readings.push_back({.gpu = address, .problem = failure.message});
        }
    }
    if (wanted.all) {
        auto all = nvml.gpus();
        if (!all)
            failure = all.error();
        for (NvmlLibrary::Gpu gpu : all ? *all : std::vector<NvmlLibrary::Gpu>()) {
            if (auto address = nvml.address(gpu))
                gpus[*address] = gpu;
        }
    }
    bool any = false;
    for (const auto &[address, gpu] : gpus) {
        auto reading = read_gpu(nvml, gpu, address);
        any |= static_cast<bool>(reading);
        if (!reading)
            failure = reading.error();
        readings.push_back(reading ? *std::move(reading)
                                   : NvmlReading{.gpu = address, .problem = failure.message});
    }
    if (!any)
        return failure;
    std::erase_if(known_, [&](const auto &known) { return !gpus.contains(known.first); });
    return readings;
}

Result<NvmlReading> NvmlReader::read_gpu(const NvmlLibrary &nvml, NvmlLibrary::Gpu gpu,
                                         const std::string &address) {
    Known &known = known_[address];
    NvmlMoment at = moment();
    NvmlReading reading{.gpu = address, .boottime_ns = at.boottime_us * 1000};
    std::map<uint32_t, NvmlTimes> busy;
    std::string no_use;
    if (nvml.mig_is_on(gpu)) {
        no_use = "MIG is on: memory only, NVML tells no use by process there";
    } else {
        if (known.processes.since_us == 0)
            known.processes = {at.wall_us, at.boottime_us};
        auto uses = nvml.uses(gpu, known.processes.since_us);
        if (uses) {
            NvmlSum sum = sum_uses(*uses, known.processes, moment());
            busy = std::move(sum.busy);
            reading.rejected += sum.rejected;
        } else {
            no_use = uses.error().message;
        }
    }
    auto clients = nvml.clients(gpu);
    if (!clients && !no_use.empty())
        return Error{"GPU " + address + ": " + no_use};
    std::set<uint32_t> present;
    for (const NvmlClient &client : clients ? *clients : std::vector<NvmlClient>()) {
        if (client.process == 0) {
            reading.rejected++;
            continue;
        }
        present.insert(client.process);
        NvmlPart &part = reading.parts.emplace_back();
        part.process = client.process;
        part.memory_bytes = client.memory_bytes;
        if (client.gpu_instance != kNoInstance)
            part.instance = "gi" + std::to_string(client.gpu_instance) + "/ci" +
                            std::to_string(client.compute_instance);
    }
    for (const auto &[process, times] : busy)
        reading.parts.push_back({.process = process, .busy = times});
    for (uint32_t process : known.clients) {
        if (present.contains(process) || !clients)
            continue;
        if (uint64_t busy_ms = nvml.accounted_ms(gpu, process); busy_ms > 0)
            reading.parts.push_back({.process = process, .accounted_ms = busy_ms});
    }
    if (clients)
        known.clients = std::move(present);
    read_vgpus(nvml, gpu, known, reading);
    if (!no_use.empty() || !clients)
        reading.problem =
            "GPU " + address + ": " + (no_use.empty() ? clients.error().message : no_use);
    return reading;
}

void NvmlReader::read_vgpus(const NvmlLibrary &nvml, NvmlLibrary::Gpu gpu, Known &known,
                            NvmlReading &reading) const {
    NvmlMoment at = moment();
    if (known.vgpus.since_us == 0)
        known.vgpus = {at.wall_us, at.boottime_us};
    NvmlSum sum = sum_uses(nvml.vgpu_uses(gpu, known.vgpus.since_us), known.vgpus, moment());
    reading.rejected += sum.rejected;
    for (const auto &[vgpu, times] : sum.busy) {
        NvmlPart &part = reading.parts.emplace_back();
        part.instance = nvml.vgpu_uuid(vgpu);
        part.busy = times;
        part.memory_bytes = nvml.vgpu_memory(vgpu);
    }
}

} // namespace tally
