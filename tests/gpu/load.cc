#include "tests/gpu/load.h"

#include "tests/system/lab.h"

#include <cstdio>
#include <ctime>
#include <dlfcn.h>

namespace tally {

namespace {

// Runs for as many nanoseconds as it is told. %globaltimer and its unit: PTX ISA, "Special
// Registers".
constexpr const char *kKernel = R"(
.version 6.0
.target sm_50
.address_size 64
.visible .entry spin(.param .u64 nanoseconds)
{
    .reg .u64 %limit, %begin, %now;
    .reg .pred %early;
    ld.param.u64 %limit, [nanoseconds];
    mov.u64 %begin, %globaltimer;
again:
    mov.u64 %now, %globaltimer;
    sub.u64 %now, %now, %begin;
    setp.lt.u64 %early, %now, %limit;
    @%early bra again;
    ret;
}
)";

// Of the CUDA driver API (cuda.h), whose handles are pointers and whose results are ints, 0 for
// success.
struct Driver {
    int (*cuInit)(unsigned flags) = nullptr;
    int (*cuDeviceGet)(int *device, int ordinal) = nullptr;
    int (*cuDeviceGetPCIBusId)(char *text, int size, int device) = nullptr;
    int (*cuCtxCreate_v2)(void **context, unsigned flags, int device) = nullptr;
    int (*cuModuleLoadData)(void **module, const void *image) = nullptr;
    int (*cuModuleGetFunction)(void **function, void *module, const char *name) = nullptr;
    int (*cuLaunchKernel)(void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                          unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                          void *stream, void **parameters, void **extra) = nullptr;
    int (*cuCtxSynchronize)() = nullptr;

    // What is missing; null: nothing.
    const char *load(const std::string &library) {
        void *loaded = dlopen(library.c_str(), RTLD_NOW);
        if (loaded == nullptr)
            return dlerror();
        const char *missing = nullptr;
        auto find = [&](const char *name, auto &function) {
            function =
                reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(loaded, name));
            if (function == nullptr)
                missing = name;
        };
        find("cuInit", cuInit);
        find("cuDeviceGet", cuDeviceGet);
        find("cuDeviceGetPCIBusId", cuDeviceGetPCIBusId);
        find("cuCtxCreate_v2", cuCtxCreate_v2);
        find("cuModuleLoadData", cuModuleLoadData);
        find("cuModuleGetFunction", cuModuleGetFunction);
        find("cuLaunchKernel", cuLaunchKernel);
        find("cuCtxSynchronize", cuCtxSynchronize);
        return missing;
    }
};

void rest(unsigned microseconds) {
    timespec time = {microseconds / 1'000'000, static_cast<long>(microseconds % 1'000'000) * 1000};
    nanosleep(&time, nullptr);
}

} // namespace

void run_load(const LoadPlan &plan, LoadRecord &record) {
    auto failed = [&](int result, const char *what) {
        if (result != 0 && record.error[0] == '\0')
            std::snprintf(record.error, sizeof(record.error), "%s: CUDA error %d", what, result);
        return result != 0;
    };
    Driver driver;
    if (const char *missing = driver.load(plan.library)) {
        std::snprintf(record.error, sizeof(record.error), "%s: %s", plan.library.c_str(), missing);
        return;
    }
    int device = 0;
    void *context = nullptr, *module = nullptr, *kernel = nullptr;
    record.before_ns = boottime_ns();
    if (failed(driver.cuInit(0), "cuInit") ||
        failed(driver.cuDeviceGet(&device, 0), "cuDeviceGet") ||
        failed(driver.cuDeviceGetPCIBusId(record.device, sizeof(record.device), device),
               "cuDeviceGetPCIBusId") ||
        failed(driver.cuCtxCreate_v2(&context, 0, device), "cuCtxCreate") ||
        failed(driver.cuModuleLoadData(&module, kKernel), "cuModuleLoadData") ||
        failed(driver.cuModuleGetFunction(&kernel, module, "spin"), "cuModuleGetFunction"))
        return;
    record.begin_ns = boottime_ns();
    sleep_ms(plan.settle_ms);

    constexpr unsigned kInFlight = 512; // the driver's queue holds about 1,024
    uint64_t nanoseconds = uint64_t{plan.kernel_us} * 1000;
    void *parameters[] = {&nanoseconds};
    uint64_t first = boottime_ns();
    while (record.launches < plan.launches) {
        if (failed(driver.cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, nullptr, parameters, nullptr),
                   "cuLaunchKernel"))
            return;
        record.launches++;
        record.busy_ns += nanoseconds;
        bool waits = plan.rest_us > 0 || record.launches % kInFlight == 0;
        if (waits && failed(driver.cuCtxSynchronize(), "cuCtxSynchronize"))
            return;
        if (plan.rest_us > 0)
            rest(plan.rest_us);
    }
    if (failed(driver.cuCtxSynchronize(), "cuCtxSynchronize"))
        return;
    record.launching_ns = boottime_ns() - first;
    sleep_ms(plan.stay_ms);
    record.end_ns = boottime_ns();
}

} // namespace tally
