// The sources of work evidence, one a file.
#pragma once

#include "agent/work/work.h"

#include <memory>
#include <string>

namespace tally {

// `sys` is where sysfs is.
std::unique_ptr<WorkSource> interrupts_source(const std::string &sys = "/sys");

} // namespace tally
