// The context-switch logs of the GPUs that are asked for: opened, emptied, closed.
#pragma once

#include "agent/work/nvidia/fecs_log.h"
#include "agent/work/nvidia/rm_client.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tally {

struct FecsWanted {
    std::string release;              // of the driver
    std::map<std::string, bool> gpus; // PCI address -> divided into MIG instances
    bool any() const { return !gpus.empty(); }
};

struct FecsReading {
    std::string gpu;
    uint64_t boottime_ns = 0;
    FecsTaken taken;
    std::string problem; // why there is nothing of this GPU; empty: there is
};

// Not on the agent's thread: aside.h.
class FecsReader {
public:
    using Question = FecsWanted;
    using Answer = FecsReading;

    explicit FecsReader(std::string dev) : dev_(std::move(dev)) {}

    // Of each GPU that is wanted what came since the last time, and the last of the others.
    Result<std::vector<FecsReading>> answer(const FecsWanted &wanted);
    // The last of what is open.
    std::vector<FecsReading> farewell();

private:
    struct Log {
        bool divided = false;
        Fd node; // keeps the GPU attached
        uint32_t device = 0, subdevice = 0, header_memory = 0, record_memory = 0, buffer = 0;
        std::optional<RmMapping> header, records;
        uint32_t next = 0;
        std::optional<FecsAccount> account;
    };
    struct Refused {
        bool divided = false;
        std::string reason;
        uint64_t until_ns = 0; // CLOCK_BOOTTIME; then it is tried again
    };
    Status open_client(const std::string &release);
    Result<RmCard> find_card(const std::string &gpu) const;
    Status open_log(const std::string &gpu, Log &log) const;
    Status open_gpu(const RmCard &card, Log &log) const;
    Status open_buffer(Log &log) const;
    Status bind(const Log &log) const;
    Result<uint64_t> gpu_time(const Log &log) const;
    Status empty(Log &log) const;
    Status read(const std::string &gpu, bool divided);
    void close(Log &log) const;
    std::vector<FecsReading> keep_only(const FecsWanted &wanted);

    std::string dev_;
    std::string release_; // that `client_` was opened for
    std::optional<RmClient> client_;
    std::map<std::string, Log> logs_; // by PCI address
    std::map<std::string, Refused> refused_;
};

} // namespace tally
