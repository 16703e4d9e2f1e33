// What NVML says of the GPUs that are held, one reading about once a second, summed up as time.
//
// The driver samples each GPU several times a second, noting which process it finds on each engine
// and how busy that was, in a ring that wraps after some 10 s. NVML averages a process's samples
// over those of the GPU since a given time, in percent. So each reading asks from the newest sample
// of the one before on, and percent times the time since then is busy time: readings tile, and no
// sample is told twice.
#pragma once

#include "agent/work/nvidia/nvml_library.h"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace tally {

using NvmlTimes = std::array<uint64_t, kNvmlEngines.size()>; // busy, ns, by engine

// How far the samples of a GPU are accounted for.
struct NvmlMark {
    uint64_t since_us = 0;    // CLOCK_REALTIME; 0: from now on
    uint64_t boottime_us = 0; // when that was found out
};

struct NvmlMoment {
    uint64_t wall_us = 0;
    uint64_t boottime_us = 0;
};

struct NvmlSum {
    std::map<uint32_t, NvmlTimes> busy; // by process or vGPU
    uint64_t rejected = 0;              // samples that cannot be
};

// Samples asked for from `mark` on and got at `at`; moves the mark on. No engine gets busier than
// the time is long, whatever they say.
NvmlSum sum_uses(const std::vector<NvmlUse> &uses, NvmlMark &mark, const NvmlMoment &at);

// One process's, or vGPU's, part of a reading.
struct NvmlPart {
    uint32_t process = 0; // 0: a vGPU's guest
    std::string instance; // MIG: "gi3/ci0"; vGPU: its mediated device's UUID; empty: the GPU's
    NvmlTimes busy = {};
    uint64_t memory_bytes = 0;
    uint64_t accounted_ms = 0; // it has ended: busy over its whole life, by accounting mode
};

struct NvmlReading {
    std::string gpu; // PCI address
    uint64_t boottime_ns = 0;
    std::vector<NvmlPart> parts;
    uint64_t rejected = 0;
    std::string problem; // what it does not see, and why; empty: nothing
};

// Which GPUs to read.
struct NvmlWanted {
    std::set<std::string> addresses;
    bool all = false; // every one there is: a device is held that has no address
    bool any() const { return all || !addresses.empty(); }
};

class NvmlReader {
public:
    // An error: no GPU could be read.
    Result<std::vector<NvmlReading>> read(const NvmlLibrary &nvml, const NvmlWanted &wanted);

private:
    struct Known {
        NvmlMark processes;
        NvmlMark vgpus;
        std::set<uint32_t> clients; // at the last reading
    };
    Result<NvmlReading> read_gpu(const NvmlLibrary &nvml, NvmlLibrary::Gpu gpu,
                                 const std::string &address);
    void read_vgpus(const NvmlLibrary &nvml, NvmlLibrary::Gpu gpu, Known &known,
                    NvmlReading &reading) const;

    std::map<std::string, Known> known_; // by address
};

} // namespace tally
