// All sources of work evidence that the configuration asks for ([work] sources): run together, and
// their rows put in order for the statement.
#pragma once

#include "agent/clock.h"
#include "agent/work/work.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace tally {

// All that are built in.
const std::vector<std::string> &work_source_names();
// Those that run unless the configuration says which.
const std::vector<std::string> &default_work_sources();

struct SourcedWork {
    const char *source;
    pb::Grade grade;
    WorkKey key;
    WorkFigures figures;
};

class Works {
public:
    Works() = default;
    explicit Works(std::vector<std::unique_ptr<WorkSource>> sources)
        : sources_(std::move(sources)) {}

    bool any() const { return !sources_.empty(); }
    // CLOCK_BOOTTIME at which there may be something to look at.
    uint64_t due_ns() const { return any() ? looked_ns_ + kSecond : UINT64_MAX; }
    // If it is due, or after a scan: looks at first, while anything is held, and once more.
    void look(const Look &look, bool held);
    // By workload, then device; those without activity are left out.
    std::vector<SourcedWork> take(uint64_t boottime_ns);
    // Of every built-in source: at work, switched off, or absent and why. All of them, or those
    // that are not what they were when last told.
    std::vector<pb::SourceState> tell_states(bool all);

private:
    std::vector<std::unique_ptr<WorkSource>> sources_;
    uint64_t looked_ns_ = 0; // boottime
    bool held_ = true;       // at the last look; the first prepares for what can be held
    std::map<std::string, std::string> told_; // source -> absence
};

// Those of these names, which are all built in.
Works make_works(const std::vector<std::string> &names);

} // namespace tally
