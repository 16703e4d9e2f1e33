#include "agent/guard/tracer.h"

#include "base/bytes.h"
#include "base/durable.h"

namespace tally {

std::optional<std::string> tracer_in(const std::string &status) {
    constexpr std::string_view kKey = "TracerPid:\t";
    std::string_view rest = status;
    while (!rest.empty()) {
        std::string_view line = take_until(rest, '\n');
        if (!line.starts_with(kKey))
            continue;
        auto pid = parse_decimal(line.substr(kKey.size()));
        return pid && *pid != 0 ? std::optional(std::to_string(*pid)) : std::nullopt;
    }
    return std::nullopt;
}

std::optional<std::string> find_tracer() {
    auto status = read_text("/proc/self/status");
    auto pid = status ? tracer_in(*status) : std::nullopt;
    if (!pid)
        return std::nullopt;
    auto name = read_text("/proc/" + *pid + "/comm");
    std::string_view rest = name ? std::string_view(*name) : "gone";
    return "by pid " + *pid + " (" + std::string(take_until(rest, '\n')) + ")";
}

} // namespace tally
