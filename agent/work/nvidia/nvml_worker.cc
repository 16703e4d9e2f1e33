#include "agent/work/nvidia/nvml_worker.h"

#include "agent/clock.h"

#include <algorithm>

namespace tally {

namespace {

constexpr uint64_t kShortestPause = kSecond; // between attempts to open the library, doubling
constexpr uint64_t kLongestPause = 60 * kSecond;

} // namespace

Result<std::vector<NvmlReading>> NvmlWorker::read(const NvmlWanted &wanted) {
    if (!library_) {
        auto opened = NvmlLibrary::open(path_);
        if (!opened)
            return opened.error();
        library_.emplace(*std::move(opened));
    }
    return reader_.read(*library_, wanted);
}

Result<std::vector<NvmlReading>> NvmlWorker::answer(const NvmlWanted &wanted) {
    uint64_t at = read_clock(CLOCK_BOOTTIME);
    if (at < retry_ns_)
        return failure_;
    auto readings = read(wanted);
    if (readings) {
        pause_ns_ = 0;
        return readings;
    }
    // Whatever it is, it may be over when the library is opened anew.
    library_.reset();
    failure_ = readings.error();
    pause_ns_ = std::clamp(2 * pause_ns_, kShortestPause, kLongestPause);
    retry_ns_ = at + pause_ns_;
    return readings;
}

} // namespace tally
