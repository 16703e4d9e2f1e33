// The sources of work evidence, one a file.
#pragma once

#include "agent/work/work.h"

#include <memory>
#include <string>

namespace tally {

// `proc` and `sys` are where these file systems are.
std::unique_ptr<WorkSource> cuda_uprobe_source(const std::string &proc = "/proc");
// Unproven on hardware: only where the configuration names it. `dev` is where the device nodes are.
std::unique_ptr<WorkSource> fecs_source(const std::string &dev = "/dev",
                                        const std::string &proc = "/proc");
std::unique_ptr<WorkSource> interrupts_source(const std::string &sys = "/sys");

} // namespace tally
