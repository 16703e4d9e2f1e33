// NVIDIA's context-switch log: what the records of its event buffer say about who ran for how long.
// FECS is the unit of a GPU that switches contexts on its graphics and compute engine (GR); there
// is one engine a GPU, or one a compute instance of a divided one (MIG). Copy engines and video
// units are not in this log. Functions of values; who gets the buffer is fecs_reader.h.
//
// Layouts, from NVIDIA/open-gpu-kernel-modules, src/common/sdk/nvidia/inc:
//
//   class/cl90cd.h       NV_EVENT_BUFFER_HEADER, _RECORD_HEADER, _ALLOC_PARAMETERS
//                        (515.43.04, 590.48.01)
//   class/cl90cdfecs.h   NV_EVENT_BUFFER_FECS_RECORD_V2, tags, hidden and kernel's process
//   (515.43.04) class/cl90cdtypes.h  record types (515.43.04, 550.40.07) ctrl/ctrl90cd.h enabling,
//   moving get, flushing (515.43.04) ctrl/ctrl2080/ctrl2080gr.h  binding (575.51.02)
//
// What the driver writes, by src/nvidia/src/kernel/gpu/gr/fecs_event_list.c (560.28.03, 590.48.01):
// a user's binding gets two of the tags, SIMPLE_START where a context starts to run (the hardware's
// CONTEXT_START, with the process of the context that comes on) and SIMPLE_END where it was saved
// (SAVE_END, with that of the one that went). It numbers the records of a buffer in 16 bits that
// wrap, and skips as many numbers as the hardware lost; a record that finds the buffer full is
// counted in the header (eventbufferproducer.c) and its number is skipped, too. Records of the
// kernel's own contexts carry no process, and times with noise.
#pragma once

#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace tally {

struct FecsHeader { // NV_EVENT_BUFFER_HEADER
    uint32_t get = 0, put = 0;
    uint64_t count = 0;
    uint64_t dropped = 0; // found the buffer full, since get was moved
    uint64_t variable_dropped = 0;
};
static_assert(sizeof(FecsHeader) == 32 && offsetof(FecsHeader, dropped) == 16);

struct FecsRecord { // NV_EVENT_BUFFER_RECORD_HEADER, then NV_EVENT_BUFFER_FECS_RECORD_V2
    uint16_t type = 0, subtype = 0;
    uint32_t variable = 0;
    uint8_t tag = 0, vmid = 0;
    uint16_t number = 0;
    uint32_t context = 0;
    uint32_t process = 0; // in the host's numbering
    uint16_t reserved = 0;
    uint8_t gpu_instance = 0, compute_instance = 0; // MIG
    uint64_t time_ns = 0;                           // the GPU's timer
};
static_assert(sizeof(FecsRecord) == 32 && offsetof(FecsRecord, tag) == 8);
static_assert(offsetof(FecsRecord, process) == 16 && offsetof(FecsRecord, time_ns) == 24);

inline constexpr uint16_t kFecsRecordV2 = 2; // NV_EVENT_BUFFER_RECORD_TYPE_FECS_CTX_SWITCH_V2
inline constexpr uint8_t kFecsStart = 6;     // NV_EVENT_BUFFER_FECS_CTXSWTAG_SIMPLE_START
inline constexpr uint8_t kFecsEnd = 7;       // ..._SIMPLE_END
inline constexpr uint32_t kFecsHidden = 0;   // NV_EVENT_BUFFER_HIDDEN_PID
inline constexpr uint32_t kFecsKernel = UINT32_MAX; // NV_EVENT_BUFFER_KERNEL_PID
// Above it an instance's number says that there is none: 0xff not divided, 0xfe hidden, 0xfd the
// kernel's (g_fecs_event_list_nvoc.h, NV_EVENT_BUFFER_INVALID_MIG_GI and the next).
inline constexpr uint8_t kFecsLastInstance = 0xfc;

struct FecsTail {
    std::vector<FecsRecord> records; // in the order written
    uint64_t dropped = 0;            // after them, for want of room
    uint32_t next = 0;               // where the next reading begins; to be told to the driver
};

// What the driver appended since `next`. It may be writing: the records up to put are whole, and
// stay as they are until get is moved (the policy KEEP_OLDEST). An error: these are not the bounds
// of this buffer, or get is not where we left it, so that nothing in it can be believed.
Result<FecsTail> read_fecs(const FecsHeader *header, const FecsRecord *records, uint32_t capacity,
                           uint32_t next);

// Who ran, on what part of the GPU.
struct FecsUser {
    uint32_t process = 0; // kFecsHidden: not told, or the kernel's own
    uint8_t gpu_instance = 0xff, compute_instance = 0xff;
    auto operator<=>(const FecsUser &) const = default;
};

struct FecsUse {
    uint64_t busy_ns = 0;
    uint64_t switches = 0; // times that it came on
};

struct FecsTaken {
    std::map<FecsUser, FecsUse> uses;
    uint64_t dropped = 0; // records lost: what they would have said is not in any busy time
    uint64_t rejected =
        0; // records that cannot be: of another type or tag, out of order or of time
    uint64_t uncertain = 0; // runs whose start or end is not the log's
};

// From records to time on the engine. What runs when time is taken is told up to that moment and
// goes on after it: what is taken adds up to the whole, to the nanosecond.
class FecsAccount {
public:
    // The GPU's time when logging began: nothing is older.
    explicit FecsAccount(uint64_t since_ns) : since_ns_(since_ns) {}

    // `now_ns`, the GPU's time, was read before the driver was asked for the records.
    void add(const FecsTail &tail, uint64_t now_ns);
    FecsTaken take();

private:
    struct Engine {
        uint8_t gpu_instance = 0, compute_instance = 0;
        auto operator<=>(const Engine &) const = default;
    };
    struct Run {
        FecsUser user;
        uint32_t context = 0;
        uint64_t start_ns = 0;
        uint64_t told_ns = 0; // counted up to here
    };
    bool in_sequence(const FecsRecord &record, bool first_of_engine);
    void see(const FecsRecord &record, uint64_t now_ns);
    void start(const Engine &engine, const FecsRecord &record);
    void end(const Engine &engine, const FecsRecord &record);
    void count(Run &run, uint64_t until_ns);

    uint64_t since_ns_;
    bool numbered_ = false;  // a record was seen
    uint16_t expected_ = 0;  // number of the next
    uint64_t told_full_ = 0; // lost for want of room and counted; the next number skips them, too
    std::map<Engine, std::optional<Run>> engines_;
    // Below zero: told too much of a run, whose end came to light later. It goes off the next.
    std::map<FecsUser, int64_t> busy_;
    FecsTaken taken_;
};

} // namespace tally
