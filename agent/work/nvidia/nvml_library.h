// libnvidia-ml.so.1 (NVML), opened at run time where there is one: a build never needs it. What of
// its ABI is used is declared in nvml_library.cc; a function that this driver's library lacks, or
// refuses, lowers what is offered.
//
// Any call may hang as long as the driver does, and opening it opens /dev/nvidiactl and, by the
// first question about a GPU, that GPU's node: nothing here is for the agent's own thread.
#pragma once

#include "base/result.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace tally {

// NVML's words for what it tells the use of. It also tells how busy the memory was: a share of the
// same kernels' time, so no engine of its own.
constexpr std::array<const char *, 5> kNvmlEngines = {"sm", "encoder", "decoder", "jpeg", "ofa"};

// How busy somebody kept each engine, in percent; as NVML gave it, so anything may be in it.
struct NvmlUse {
    uint32_t who = 0;     // process id in our pid namespace, or a vGPU
    uint64_t wall_us = 0; // CLOCK_REALTIME: the last sample in which it was seen
    std::array<uint64_t, kNvmlEngines.size()> percent = {};
};

constexpr uint32_t kNoInstance = 0xffffffff; // NVML's word: MIG is off

// A process with a context on a GPU.
struct NvmlClient {
    uint32_t process = 0;
    uint64_t memory_bytes = 0; // 0: not known
    uint32_t gpu_instance = kNoInstance;
    uint32_t compute_instance = kNoInstance;
};

class NvmlLibrary {
public:
    using Gpu = void *; // nvmlDevice_t

    // dlopen(3) of `path` and nvmlInit_v2.
    static Result<NvmlLibrary> open(const std::string &path);
    NvmlLibrary(NvmlLibrary &&) noexcept;
    ~NvmlLibrary(); // nvmlShutdown

    Result<Gpu> gpu(const std::string &address) const; // "0000:3b:00.0"
    Result<std::vector<Gpu>> gpus() const;             // which touches every one of them
    Result<std::string> address(Gpu gpu) const;        // as the kernel writes it
    bool mig_is_on(Gpu gpu) const;

    // Whoever used the GPU after `since_us` of CLOCK_REALTIME, averaged from then on, mostly one
    // entry for each process. Empty: nobody, or nothing new.
    Result<std::vector<NvmlUse>> uses(Gpu gpu, uint64_t since_us) const;
    Result<std::vector<NvmlClient>> clients(Gpu gpu) const;
    // How long a process that has ended kept the GPU busy over its whole life, where the GPU keeps
    // accounts; else 0.
    uint64_t accounted_ms(Gpu gpu, uint32_t process) const;

    // Of virtual GPUs on a host that has them; else empty.
    std::vector<NvmlUse> vgpu_uses(Gpu gpu, uint64_t since_us) const;
    std::string vgpu_uuid(uint32_t vgpu) const; // of its mediated device; empty: it has none
    uint64_t vgpu_memory(uint32_t vgpu) const;  // 0: not known

private:
    struct Functions;
    struct Close {
        void operator()(void *library) const;
    };
    NvmlLibrary();
    Error failure(const std::string &what, int code) const;

    std::unique_ptr<void, Close> library_;
    std::unique_ptr<Functions> functions_;
};

} // namespace tally
