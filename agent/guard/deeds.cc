#include "agent/guard/deeds.h"

#include <bpf/libbpf.h>
#include <cerrno>
#include <cstring>
#include <map>
#include <set>

namespace tally {

namespace {

constexpr const char *kKindPlurals[WIRE_OBJECT_KINDS] = {"maps", "programs", "links"};

template <size_t size> std::string text_of(const char (&raw)[size]) {
    return {raw, strnlen(raw, size)};
}

std::string signal_name(uint32_t number) {
    const char *name = sigabbrev_np(static_cast<int>(number));
    return name != nullptr ? "SIG" + std::string(name) : "signal " + std::to_string(number);
}

std::string doer(const wire_guard &record, const DeedNames &names) {
    std::string cgroup = names.workload(record.workload);
    std::string process = "pid " + std::to_string(record.tgid) + " (" + text_of(record.comm) +
                          ") in " +
                          (cgroup.empty() ? "cgroup " + std::to_string(record.workload) : cgroup);
    return record.by_kernel != 0 ? "the kernel, while " + process + " ran" : process;
}

// The objects that one process took: per kind, by name.
using Taken = std::set<std::string>;
std::string list(const Taken (&taken)[WIRE_OBJECT_KINDS]) {
    std::string text;
    for (int kind = 0; kind < WIRE_OBJECT_KINDS; kind++) {
        if (taken[kind].empty())
            continue;
        text += (text.empty() ? "" : "; ") + std::string(kKindPlurals[kind]);
        const char *separator = " ";
        for (const std::string &name : taken[kind]) {
            text += separator + name;
            separator = ", ";
        }
    }
    return text;
}

int keep(void *records, void *record, size_t size) {
    if (size >= sizeof(wire_guard))
        static_cast<std::vector<wire_guard> *>(records)->push_back(
            *static_cast<const wire_guard *>(record));
    return 0;
}

} // namespace

std::vector<Deed> tell_deeds(const std::vector<wire_guard> &records, const DeedNames &names) {
    std::vector<Deed> deeds;
    struct Takings {
        size_t deed;
        Taken taken[WIRE_OBJECT_KINDS];
    };
    std::map<std::string, Takings> takers;
    for (const wire_guard &record : records) {
        std::string who = doer(record, names);
        std::string name = text_of(record.name);
        uint64_t at = record.boottime_ns;
        if (record.kind == WIRE_SIGNALLED) {
            deeds.push_back(
                {pb::Event::KIND_AGENT_SIGNALLED, signal_name(record.number) + " from " + who, at});
        } else if (record.kind == WIRE_TRACED) {
            deeds.push_back({pb::Event::KIND_AGENT_TRACED,
                             who + " asked for its memory, descriptors or execution (ptrace, "
                                   "/proc/PID/mem, pidfd_getfd)",
                             at});
        } else if (record.kind == WIRE_MAPPED && names.watched(name)) {
            std::string what = name;
            what.append(" resource ").append(std::to_string(record.number));
            deeds.push_back({pb::Event::KIND_RESOURCE_MAPPED, what.append(" by ").append(who), at});
        } else if (record.kind >= WIRE_TOOK && record.kind < WIRE_GUARD_KINDS &&
                   record.tgid != names.agent) {
            auto kind = static_cast<wire_object_kind>(record.kind - WIRE_TOOK);
            auto [taker, first] = takers.try_emplace(who, Takings{deeds.size(), {}});
            if (first)
                deeds.push_back({pb::Event::KIND_FOREIGN_BPF, who, at});
            std::string known = names.object(kind, record.number);
            if (known.empty())
                known = name.empty() ? "number " + std::to_string(record.number) : name;
            taker->second.taken[kind].insert(known);
        }
    }
    for (const auto &[who, takings] : takers)
        deeds[takings.deed].detail += " got at " + list(takings.taken);
    return deeds;
}

void DeedRing::Free::operator()(ring_buffer *ring) const {
    ring_buffer__free(ring);
}

Result<DeedRing> DeedRing::open(int map) {
    DeedRing deeds;
    deeds.records_ = std::make_unique<std::vector<wire_guard>>();
    deeds.ring_.reset(ring_buffer__new(map, keep, deeds.records_.get(), nullptr));
    if (!deeds.ring_)
        return errno_error("map the guard ring");
    return deeds;
}

std::vector<wire_guard> DeedRing::read() {
    records_->clear();
    ring_buffer__consume(ring_.get());
    return std::move(*records_);
}

} // namespace tally
