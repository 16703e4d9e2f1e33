// The sources of work evidence, one a file.
#pragma once

#include "agent/work/work.h"

#include <memory>
#include <string>

namespace tally {

// `proc` and `sys` are where these file systems are.
std::unique_ptr<WorkSource> cuda_uprobe_source(const std::string &proc = "/proc");
std::unique_ptr<WorkSource> drm_fdinfo_source(const std::string &proc = "/proc");
std::unique_ptr<WorkSource> drm_sched_source(const std::string &sys = "/sys");
// Unproven on hardware: only where the configuration names it. `dev` is where the device nodes are.
std::unique_ptr<WorkSource> fecs_source(const std::string &dev = "/dev",
                                        const std::string &proc = "/proc");
std::unique_ptr<WorkSource> interrupts_source(const std::string &sys = "/sys");
std::unique_ptr<WorkSource> kfd_source(const DeviceRoots &roots = {});
std::unique_ptr<WorkSource> nvidia_rm_source(const DeviceRoots &roots = {});
// `library` as dlopen(3) takes it.
std::unique_ptr<WorkSource> nvml_source(const std::string &library = "libnvidia-ml.so.1",
                                        const std::string &proc = "/proc");

} // namespace tally
