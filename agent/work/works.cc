#include "agent/work/works.h"

#include "agent/work/sources.h"
#include "base/bytes.h"

#include <algorithm>
#include <utility>

namespace tally {

namespace {

struct BuiltIn {
    const char *name;
    std::unique_ptr<WorkSource> (*make)();
    bool by_default = true;
};
constexpr BuiltIn kBuiltIn[] = {
    {"cuda_uprobe", [] { return cuda_uprobe_source(); }},
    {"drm_fdinfo", [] { return drm_fdinfo_source(); }},
    {"drm_sched", [] { return drm_sched_source(); }},
    {"fecs", [] { return fecs_source(); }, /*by_default=*/false},
    {"interrupts", [] { return interrupts_source(); }},
    {"kfd", [] { return kfd_source(); }},
    {"nvidia_rm", [] { return nvidia_rm_source(); }},
    {"nvml", [] { return nvml_source(); }},
};

bool has_activity(const WorkFigures &figures) {
    return figures.busy_ns.value_or(0) > 0 || figures.active_seconds > 0 ||
           figures.memory_bytes > 0 ||
           std::any_of(figures.counts.begin(), figures.counts.end(),
                       [](const auto &count) { return count.second > 0; });
}

} // namespace

const std::vector<std::string> &work_source_names() {
    static const std::vector<std::string> kNames = [] {
        std::vector<std::string> names;
        for (const BuiltIn &each : kBuiltIn)
            names.emplace_back(each.name);
        return names;
    }();
    return kNames;
}

const std::vector<std::string> &default_work_sources() {
    static const std::vector<std::string> kNames = [] {
        std::vector<std::string> names;
        for (const BuiltIn &each : kBuiltIn) {
            if (each.by_default)
                names.emplace_back(each.name);
        }
        return names;
    }();
    return kNames;
}

Works make_works(const std::vector<std::string> &names) {
    std::vector<std::unique_ptr<WorkSource>> sources;
    for (const BuiltIn &each : kBuiltIn) {
        if (std::find(names.begin(), names.end(), each.name) != names.end())
            sources.push_back(each.make());
    }
    return Works(std::move(sources));
}

void Works::look(const Look &look, bool held) {
    looked_ns_ = look.boottime_ns;
    bool was_held = std::exchange(held_, held);
    if (!held && !was_held)
        return;
    // What the last scan found may have ended after it.
    std::vector<wire_holding> nothing;
    for (const auto &source : sources_)
        source->look({held ? look.holdings : nothing, look.devices, look.boottime_ns, look.rung});
}

std::vector<SourcedWork> Works::take(uint64_t boottime_ns) {
    std::vector<SourcedWork> all;
    for (const auto &source : sources_) {
        for (auto &[key, figures] : source->take(boottime_ns)) {
            if (has_activity(figures))
                all.push_back({source->name(), source->grade(), key, std::move(figures)});
        }
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const SourcedWork &a, const SourcedWork &b) { return a.key < b.key; });
    return all;
}

std::vector<pb::SourceState> Works::tell_states(bool all) {
    std::vector<pb::SourceState> states;
    for (const BuiltIn &each : kBuiltIn) {
        auto source = std::find_if(sources_.begin(), sources_.end(), [&](const auto &one) {
            return std::string_view(one->name()) == each.name;
        });
        std::string absence =
            source == sources_.end() ? "switched off" : printable((*source)->absence());
        auto [told, fresh] = told_.try_emplace(each.name, absence);
        if (!all && !fresh && told->second == absence)
            continue;
        told->second = absence;
        pb::SourceState &state = states.emplace_back();
        state.set_name(each.name);
        state.set_at_work(absence.empty());
        state.set_reason(absence);
    }
    return states;
}

} // namespace tally
