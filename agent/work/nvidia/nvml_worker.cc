#include "agent/work/nvidia/nvml_worker.h"

namespace tally {

Result<std::vector<NvmlReading>> NvmlWorker::answer(const NvmlWanted &wanted) {
    if (!library_) {
        auto opened = NvmlLibrary::open(path_);
        if (!opened)
            return opened.error();
        library_.emplace(*std::move(opened));
    }
    auto readings = reader_.read(*library_, wanted);
    if (!readings)
        library_.reset();
    return readings;
}

} // namespace tally
