// NVML as a worker on a thread of its own (agent/work/aside.h): a call of it ends only when the
// driver answers. The library is open from the first question until it is let go of.
#pragma once

#include "agent/work/nvidia/nvml_reader.h"

#include <optional>

namespace tally {

class NvmlWorker {
public:
    using Question = NvmlWanted;
    using Answer = NvmlReading;

    explicit NvmlWorker(std::string library) : path_(std::move(library)) {}

    // After an error the library is opened anew: whatever it was, it may be over then.
    Result<std::vector<NvmlReading>> answer(const NvmlWanted &wanted);
    static std::vector<NvmlReading> farewell() { return {}; }

private:
    std::string path_;
    std::optional<NvmlLibrary> library_;
    NvmlReader reader_;
};

} // namespace tally
