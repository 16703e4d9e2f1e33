// The ABI: NVML API Reference Guide and nvml.h of CUDA 10.2 to 13 (github.com/NVIDIA/go-nvml keeps
// them all). Structures only ever got new versions under new function names, with one exception:
//
//   nvmlProcessInfo   Some R535 drivers write 32 bytes an entry into what _v2 and _v3 document as
//                     24, the last 8 of them confidential-computing memory (go-nvml issue 75,
//                     nvitop pulls 79 and 226). So the answer's own size decides.
#include "agent/work/nvidia/nvml_library.h"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <map>
#include <tuple>

namespace tally {

namespace {

// nvmlReturn_t
constexpr int kSuccess = 0;
constexpr int kInvalidArgument = 2;
constexpr int kNotSupported = 3;
constexpr int kNotFound = 6;
constexpr int kInsufficientSize = 7;
constexpr int kFunctionNotFound = 13;
constexpr int kVersionMismatch = 18; // LIB_RM_VERSION_MISMATCH
constexpr int kArgumentVersion = 25;

constexpr uint64_t kNotAvailable = ~uint64_t{0}; // NVML_VALUE_NOT_AVAILABLE
constexpr unsigned kEnabled = 1;                 // NVML_FEATURE_ENABLED, NVML_DEVICE_MIG_ENABLE

struct PciInfo { // nvmlPciInfo_t of nvmlDeviceGetPciInfo_v3
    char legacy_address[16];
    unsigned domain;
    unsigned bus;
    unsigned device;
    unsigned id;
    unsigned subsystem_id;
    char address[32];
};
static_assert(sizeof(PciInfo) == 68);

struct UtilizationSample { // nvmlProcessUtilizationSample_t
    unsigned process;
    unsigned long long wall_us;
    unsigned sm, memory, encoder, decoder;
};
static_assert(sizeof(UtilizationSample) == 32 && offsetof(UtilizationSample, sm) == 16);

struct UtilizationInfo { // nvmlProcessUtilizationInfo_v1_t, R550
    unsigned long long wall_us;
    unsigned process;
    unsigned sm, memory, encoder, decoder, jpeg, ofa;
};
static_assert(sizeof(UtilizationInfo) == 40);

struct UtilizationInfos { // nvmlProcessesUtilizationInfo_v1_t
    unsigned version;
    unsigned count;
    unsigned long long since_us;
    UtilizationInfo *entries;
};
constexpr unsigned kUtilizationInfosVersion = sizeof(UtilizationInfos) | 1U << 24;
static_assert(sizeof(UtilizationInfos) == 24);

struct VgpuSample { // nvmlVgpuInstanceUtilizationSample_t; values are a union of 8 bytes
    unsigned vgpu;
    unsigned long long wall_us;
    union Value {
        unsigned number; // if their type is NVML_VALUE_TYPE_UNSIGNED_INT, as documented
        unsigned long long all;
    } sm, memory, encoder, decoder;
};
static_assert(sizeof(VgpuSample) == 48);
constexpr unsigned kUnsignedInt = 1;

// nvmlProcessInfo: pid, used memory; from _v2 on gpuInstanceId and computeInstanceId.
constexpr size_t kFirstProcessInfo = 16;
constexpr size_t kProcessInfo = 24;
constexpr size_t kLongProcessInfo = 32;
constexpr uint8_t kUntouched = 0xa5;

struct AccountingStats { // nvmlAccountingStats_t
    unsigned gpu_percent;
    unsigned memory_percent;
    unsigned long long most_memory;
    unsigned long long time_ms; // 0 while it runs
    unsigned long long start_us;
    unsigned is_running;
    unsigned reserved[5];
};
static_assert(sizeof(AccountingStats) == 56);

// More than a GPU has contexts; what says it needs more room gets it once.
constexpr unsigned kRoom = 256;
constexpr unsigned kMostRoom = 65536;

// Calls `ask(entries, count)` with room for `kRoom` entries and, if that is too little, again.
template <typename Entry, typename Ask> int ask_list(std::vector<Entry> &entries, Ask ask) {
    unsigned room = kRoom;
    int code = kInsufficientSize;
    for (int tries = 0; tries < 2 && code == kInsufficientSize; tries++) {
        entries.assign(room, Entry{});
        unsigned count = room;
        code = ask(entries.data(), &count);
        entries.resize(code == kSuccess ? std::min(count, room) : 0);
        room = std::min(std::max(count, room) * 2, kMostRoom);
    }
    return code;
}

template <typename Value> Value value_at(const uint8_t *at) {
    Value value;
    std::memcpy(&value, at, sizeof(value));
    return value;
}

} // namespace

struct NvmlLibrary::Functions {
    using Gpu = NvmlLibrary::Gpu;
    int (*init)();
    int (*shutdown)();
    const char *(*error_string)(int);
    int (*driver_version)(char *, unsigned);
    int (*count)(unsigned *);
    int (*by_index)(unsigned, Gpu *);
    int (*by_address)(const char *, Gpu *);
    int (*pci_info)(Gpu, PciInfo *);
    int (*mig_mode)(Gpu, unsigned *current, unsigned *pending);
    int (*utilization)(Gpu, UtilizationSample *, unsigned *, unsigned long long);
    int (*utilization_infos)(Gpu, UtilizationInfos *);
    struct List {
        int (*ask)(Gpu, unsigned *, void *);
        bool first; // version, which knows no instances
    };
    std::array<List, 3> lists; // compute, graphics, MPS
    int (*accounting_mode)(Gpu, unsigned *);
    int (*accounting_stats)(Gpu, unsigned, AccountingStats *);
    int (*vgpu_utilization)(Gpu, unsigned long long, unsigned *, unsigned *, VgpuSample *);
    int (*vgpu_uuid)(unsigned, char *, unsigned);
    int (*vgpu_memory)(unsigned, unsigned long long *);
    std::string driver; // its version

    void find(void *library);
};

void NvmlLibrary::Functions::find(void *library) {
    auto take = [&](auto &function, const std::string &name) {
        function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(
            dlsym(library, name.c_str()));
        return function != nullptr;
    };
    take(init, "nvmlInit_v2");
    take(shutdown, "nvmlShutdown");
    take(error_string, "nvmlErrorString");
    take(driver_version, "nvmlSystemGetDriverVersion");
    take(count, "nvmlDeviceGetCount_v2");
    take(by_index, "nvmlDeviceGetHandleByIndex_v2");
    take(by_address, "nvmlDeviceGetHandleByPciBusId_v2");
    take(pci_info, "nvmlDeviceGetPciInfo_v3");
    take(mig_mode, "nvmlDeviceGetMigMode");
    take(utilization, "nvmlDeviceGetProcessUtilization");
    take(utilization_infos, "nvmlDeviceGetProcessesUtilizationInfo");
    constexpr const char *kKinds[] = {"Compute", "Graphics", "MPSCompute"};
    for (size_t i = 0; i < lists.size(); i++) {
        std::string name = "nvmlDeviceGet" + std::string(kKinds[i]) + "RunningProcesses";
        lists[i].first = !take(lists[i].ask, name + "_v3") && !take(lists[i].ask, name + "_v2");
        if (lists[i].first)
            take(lists[i].ask, name);
    }
    take(accounting_mode, "nvmlDeviceGetAccountingMode");
    take(accounting_stats, "nvmlDeviceGetAccountingStats");
    take(vgpu_utilization, "nvmlDeviceGetVgpuUtilization");
    take(vgpu_uuid, "nvmlVgpuInstanceGetMdevUUID");
    take(vgpu_memory, "nvmlVgpuInstanceGetFbUsage");
}

NvmlLibrary::NvmlLibrary() : functions_(std::make_unique<Functions>()) {
}
NvmlLibrary::NvmlLibrary(NvmlLibrary &&) noexcept = default;

NvmlLibrary::~NvmlLibrary() {
    if (library_ && functions_->shutdown != nullptr)
        functions_->shutdown();
}

// Closed, not only shut down: after an upgrade of the driver the old one answers no more.
void NvmlLibrary::Close::operator()(void *library) const {
    dlclose(library);
}

Error NvmlLibrary::failure(const std::string &what, int code) const {
    const char *words =
        functions_->error_string != nullptr ? functions_->error_string(code) : nullptr;
    std::string message =
        what + ": " + (words != nullptr ? words : "NVML error " + std::to_string(code));
    if (code == kVersionMismatch)
        message += " (the driver was replaced while in use: reload it, or reboot)";
    return Error{message};
}

Result<NvmlLibrary> NvmlLibrary::open(const std::string &path) {
    NvmlLibrary nvml;
    std::unique_ptr<void, Close> library(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL));
    if (!library) {
        const char *reason = dlerror();
        return Error{reason != nullptr ? reason : path + ": cannot be loaded"};
    }
    Functions &functions = *nvml.functions_;
    functions.find(library.get());
    if (functions.init == nullptr || functions.by_address == nullptr)
        return Error{
            path + " has no " +
            (functions.init == nullptr ? "nvmlInit_v2" : "nvmlDeviceGetHandleByPciBusId_v2") +
            ": it is too old, or not NVIDIA's"};
    if (int code = functions.init(); code != kSuccess)
        return nvml.failure("nvmlInit_v2", code);
    nvml.library_ = std::move(library); // from here on it is shut down at the end
    char version[80] = {};              // NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE
    if (functions.driver_version != nullptr &&
        functions.driver_version(version, sizeof(version)) == kSuccess)
        functions.driver.assign(version, strnlen(version, sizeof(version)));
    return nvml;
}

Result<NvmlLibrary::Gpu> NvmlLibrary::gpu(const std::string &address) const {
    Gpu gpu = nullptr;
    if (int code = functions_->by_address(address.c_str(), &gpu); code != kSuccess)
        return failure("GPU " + address, code);
    return gpu;
}

Result<std::vector<NvmlLibrary::Gpu>> NvmlLibrary::gpus() const {
    unsigned count = 0;
    if (functions_->count == nullptr || functions_->by_index == nullptr)
        return failure("count the GPUs", kFunctionNotFound);
    if (int code = functions_->count(&count); code != kSuccess)
        return failure("count the GPUs", code);
    std::vector<Gpu> found;
    for (unsigned i = 0; i < std::min(count, kRoom); i++) {
        Gpu gpu = nullptr;
        if (functions_->by_index(i, &gpu) == kSuccess)
            found.push_back(gpu);
    }
    return found;
}

Result<std::string> NvmlLibrary::address(Gpu gpu) const {
    PciInfo info = {};
    int code =
        functions_->pci_info != nullptr ? functions_->pci_info(gpu, &info) : kFunctionNotFound;
    if (code != kSuccess)
        return failure("a GPU's PCI address", code);
    char text[24]; // NVML's own has eight digits of domain and capital letters
    std::snprintf(text, sizeof(text), "%04x:%02x:%02x.0", info.domain, info.bus & 0xff,
                  info.device & 0x1f);
    return std::string(text);
}

bool NvmlLibrary::mig_is_on(Gpu gpu) const {
    unsigned current = 0, pending = 0;
    return functions_->mig_mode != nullptr &&
           functions_->mig_mode(gpu, &current, &pending) == kSuccess && current == kEnabled;
}

Result<std::vector<NvmlUse>> NvmlLibrary::uses(Gpu gpu, uint64_t since_us) const {
    std::vector<NvmlUse> uses;
    int code = kFunctionNotFound;
    if (functions_->utilization_infos != nullptr) {
        std::vector<UtilizationInfo> entries;
        code = ask_list(entries, [&](UtilizationInfo *first, unsigned *count) {
            UtilizationInfos infos = {kUtilizationInfosVersion, *count, since_us, first};
            int result = functions_->utilization_infos(gpu, &infos);
            *count = infos.count;
            return result;
        });
        for (const UtilizationInfo &entry : entries)
            uses.push_back({entry.process,
                            entry.wall_us,
                            {entry.sm, entry.encoder, entry.decoder, entry.jpeg, entry.ofa}});
    }
    bool refused = code == kFunctionNotFound || code == kNotSupported || code == kArgumentVersion ||
                   code == kInvalidArgument;
    if (refused && functions_->utilization != nullptr) {
        std::vector<UtilizationSample> entries;
        code = ask_list(entries, [&](UtilizationSample *first, unsigned *count) {
            return functions_->utilization(gpu, first, count, since_us);
        });
        for (const UtilizationSample &entry : entries)
            uses.push_back(
                {entry.process, entry.wall_us, {entry.sm, entry.encoder, entry.decoder}});
    }
    if (code == kSuccess || code == kNotFound)
        return uses;
    if (functions_->utilization == nullptr)
        return Error{"driver " + functions_->driver +
                     " tells no use by process, only memory: it is too old"};
    return failure("use by process", code);
}

Result<std::vector<NvmlClient>> NvmlLibrary::clients(Gpu gpu) const {
    // One that does compute and graphics is listed twice, with the same memory.
    std::map<std::tuple<uint32_t, uint32_t, uint32_t>, uint64_t> memory;
    int failed = kFunctionNotFound;
    bool any = false;
    for (const Functions::List &list : functions_->lists) {
        if (list.ask == nullptr)
            continue;
        unsigned count = 0;
        std::vector<std::array<uint8_t, kLongProcessInfo>> room;
        int code = ask_list(room, [&](auto *first, unsigned *size) {
            std::memset(static_cast<void *>(first), kUntouched, *size * kLongProcessInfo);
            int result = list.ask(gpu, size, first);
            count = *size;
            return result;
        });
        if (code != kSuccess && code != kNotFound) {
            failed = code;
            continue;
        }
        any = true;
        // `room` was cut to as many of the long ones: all that may have been written.
        count = std::min<unsigned>(count, static_cast<unsigned>(room.size()));
        const uint8_t *begin = count > 0 ? room.front().data() : nullptr;
        size_t stride = list.first ? kFirstProcessInfo : kProcessInfo;
        if (!list.first &&
            !std::all_of(begin + count * kProcessInfo, begin + count * kLongProcessInfo,
                         [](uint8_t byte) { return byte == kUntouched; }))
            stride = kLongProcessInfo;
        for (unsigned i = 0; i < count; i++) {
            const uint8_t *at = begin + i * stride;
            auto bytes = value_at<uint64_t>(at + 8);
            uint64_t &most = memory[{value_at<uint32_t>(at),
                                     list.first ? kNoInstance : value_at<uint32_t>(at + 16),
                                     list.first ? kNoInstance : value_at<uint32_t>(at + 20)}];
            most = std::max(most, bytes == kNotAvailable ? 0 : bytes);
        }
    }
    if (!any)
        return failure("processes and their memory", failed);
    std::vector<NvmlClient> clients;
    clients.reserve(memory.size());
    for (const auto &[key, bytes] : memory)
        clients.push_back({std::get<0>(key), bytes, std::get<1>(key), std::get<2>(key)});
    return clients;
}

uint64_t NvmlLibrary::accounted_ms(Gpu gpu, uint32_t process) const {
    unsigned mode = 0;
    AccountingStats stats = {};
    if (functions_->accounting_mode == nullptr || functions_->accounting_stats == nullptr ||
        functions_->accounting_mode(gpu, &mode) != kSuccess || mode != kEnabled ||
        functions_->accounting_stats(gpu, process, &stats) != kSuccess)
        return 0;
    if (stats.is_running != 0 || stats.gpu_percent > 100)
        return 0;
    return stats.time_ms / 100 * stats.gpu_percent;
}

std::vector<NvmlUse> NvmlLibrary::vgpu_uses(Gpu gpu, uint64_t since_us) const {
    std::vector<NvmlUse> uses;
    if (functions_->vgpu_utilization == nullptr)
        return uses;
    unsigned type = 0;
    std::vector<VgpuSample> entries;
    ask_list(entries, [&](VgpuSample *first, unsigned *count) {
        return functions_->vgpu_utilization(gpu, since_us, &type, count, first);
    });
    uses.reserve(entries.size());
    for (const VgpuSample &entry : entries) {
        if (type == kUnsignedInt)
            uses.push_back({entry.vgpu,
                            entry.wall_us,
                            {entry.sm.number, entry.encoder.number, entry.decoder.number}});
    }
    return uses;
}

std::string NvmlLibrary::vgpu_uuid(uint32_t vgpu) const {
    char uuid[80] = {}; // NVML_DEVICE_UUID_BUFFER_SIZE
    if (functions_->vgpu_uuid == nullptr ||
        functions_->vgpu_uuid(vgpu, uuid, sizeof(uuid)) != kSuccess)
        return {};
    return std::string(uuid, strnlen(uuid, sizeof(uuid)));
}

uint64_t NvmlLibrary::vgpu_memory(uint32_t vgpu) const {
    unsigned long long bytes = 0;
    if (functions_->vgpu_memory == nullptr || functions_->vgpu_memory(vgpu, &bytes) != kSuccess ||
        bytes == kNotAvailable)
        return 0;
    return bytes;
}

} // namespace tally
