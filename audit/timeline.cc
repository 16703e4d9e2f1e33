#include "audit/timeline.h"

#include "audit/units.h"

#include <algorithm>

namespace tally {

namespace {

uint64_t length_ns(const pb::Statement &statement) {
    return statement.window().end_boottime_ns() - statement.window().begin_boottime_ns();
}

uint64_t distance(uint64_t a, uint64_t b) {
    return a > b ? a - b : b - a;
}

} // namespace

uint64_t recorded_ns(const pb::Statement &statement) {
    const pb::Window &window = statement.window();
    uint64_t since =
        std::max(statement.recording().since_boottime_ns(), window.begin_boottime_ns());
    return window.end_boottime_ns() - std::min(since, window.end_boottime_ns());
}

Timeline::Step Timeline::add(const pb::Statement &statement) {
    last_sequence_ = statement.sequence();
    if (statement.part() > 0)
        return {};
    const pb::Window &window = statement.window();
    Step step;
    uint64_t length = length_ns(statement);
    // What the wall clock should say at this window's end.
    uint64_t expected_end = saturating_add(window.begin_wall_ns(), length);
    step.missing_ns = length - recorded_ns(statement);
    if (windows_ == 0) {
        first_sequence_ = statement.sequence();
        begin_wall_ns_ = window.begin_wall_ns();
    } else if (boot_id_ != statement.boot_id()) {
        if (window.begin_wall_ns() >= end_wall_ns_)
            step.missing_ns =
                saturating_add(step.missing_ns, window.begin_wall_ns() - end_wall_ns_);
        else
            step.clock_step_ns = end_wall_ns_ - window.begin_wall_ns();
    } else {
        step.clock_step_ns = distance(window.begin_wall_ns(), end_wall_ns_);
    }
    step.clock_step_ns = std::max(step.clock_step_ns, distance(window.end_wall_ns(), expected_end));
    step.new_boot = boot_id_ != statement.boot_id();
    boots_ += step.new_boot ? 1 : 0;
    windows_++;
    boot_id_ = statement.boot_id();
    end_wall_ns_ = window.end_wall_ns();
    covered_ns_ = saturating_add(covered_ns_, recorded_ns(statement));
    missing_ns_ = saturating_add(missing_ns_, step.missing_ns);
    return step;
}

uint64_t Timeline::wall_ns() const {
    return saturating_add(covered_ns_, missing_ns_);
}

std::string Timeline::coverage() const {
    return percent_text(covered_ns_, wall_ns());
}

} // namespace tally
