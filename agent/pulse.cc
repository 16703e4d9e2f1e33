#include "agent/pulse.h"

namespace tally {

namespace {

std::string seconds(uint64_t ns) {
    std::string milliseconds = std::to_string(ns / 1'000'000 % 1000);
    return std::to_string(ns / kSecond) + "." + std::string(3 - milliseconds.size(), '0') +
           milliseconds + " s";
}

} // namespace

std::optional<std::string> Pulse::rests(uint64_t monotonic_ns, uint64_t sleep_ns) {
    uint64_t worked = since_ns_ == 0 ? 0 : monotonic_ns - since_ns_;
    since_ns_ = monotonic_ns;
    sleep_ns_ = sleep_ns;
    if (worked <= kLongest)
        return std::nullopt;
    return "for " + seconds(worked) +
           " amid its work: stopped, frozen, starved of CPU, or waiting " +
           "for a disk or a name server";
}

std::optional<std::string> Pulse::wakes(uint64_t monotonic_ns) {
    uint64_t slept = monotonic_ns - since_ns_;
    since_ns_ = monotonic_ns;
    if (slept <= sleep_ns_ + kLongest)
        return std::nullopt;
    return "for " + seconds(slept - sleep_ns_) + " more than it meant to sleep: stopped, frozen " +
           "or starved of CPU";
}

} // namespace tally
