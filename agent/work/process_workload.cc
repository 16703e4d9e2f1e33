#include "agent/work/process_workload.h"

#include "agent/identity/cgroups.h"
#include "base/durable.h"

#include <utility>

namespace tally {

ProcessWorkloads::ProcessWorkloads(std::string proc) : proc_(std::move(proc)) {
    if (auto cgroups = Cgroups::open())
        cgroups_ = std::move(*cgroups);
}

void ProcessWorkloads::scanned(const std::vector<wire_holding> &holdings) {
    std::map<uint32_t, uint64_t> now;
    for (const wire_holding &holding : holdings)
        now[holding.process] = holding.workload;
    if (now != held_)
        held_before_ = std::exchange(held_, std::move(now));
}

uint64_t ProcessWorkloads::of(uint32_t process) const {
    if (auto found = held_.find(process); found != held_.end())
        return found->second;
    if (uint64_t workload = by_cgroup(process); workload != 0)
        return workload;
    auto before = held_before_.find(process);
    return before == held_before_.end() ? 0 : before->second;
}

uint64_t ProcessWorkloads::by_cgroup(uint32_t process) const {
    auto file = read_text(proc_ + "/" + std::to_string(process) + "/cgroup");
    auto path = file ? unified_cgroup(*file) : Result<std::string>(file.error());
    auto id = path && cgroups_ ? cgroups_->id(*path) : Result<uint64_t>(Error{});
    return id ? *id : 0;
}

} // namespace tally
