// A known CUDA load, for gpu-check. It needs the driver alone: libcuda.so.1 is loaded at run time
// and compiles the kernel by itself, so that the load is the same on every GPU.
#pragma once

#include <cstdint>
#include <string>

namespace tally {

struct LoadPlan {
    std::string library = "libcuda.so.1";
    unsigned settle_ms = 3000; // between context and first launch: probes are attached meanwhile
    unsigned launches = 0;
    unsigned kernel_us = 0; // how long each runs; 0: it returns at once
    unsigned rest_us = 0;   // behind each, with the device idle; waits for the kernel first
    unsigned stay_ms = 0;   // at the end, holding the device
};

// What the load did, by its own clock (CLOCK_BOOTTIME). Plain, for shared memory.
struct LoadRecord {
    uint64_t before_ns = 0; // before the library opens anything
    uint64_t begin_ns = 0;  // it has a context
    uint64_t end_ns = 0;    // before it exits
    uint64_t launches = 0;
    uint64_t busy_ns = 0;      // what the kernels were told to run for
    uint64_t launching_ns = 0; // from the first launch until the last kernel is done
    char device[32] = {};      // PCI address as the driver writes it
    char error[160] = {};      // what failed; empty: nothing
};

// Runs in a process that has not used CUDA before, and will exit soon after.
void run_load(const LoadPlan &plan, LoadRecord &record);

} // namespace tally
