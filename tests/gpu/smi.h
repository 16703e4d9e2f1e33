// nvidia-smi's own account of who kept the GPU busy, while it runs beside a load.
#pragma once

#include "tests/system/lab.h"

#include <optional>
#include <string>
#include <sys/types.h>

namespace tally {

class NvidiaSmi {
public:
    void start(const std::string &output_file);
    void stop();
    // Its samples of a process, each for the second behind it; nothing: it did not run or did not
    // see that process.
    std::optional<double> busy_seconds(pid_t pid) const;

private:
    Program program_;
    std::string output_;
};

} // namespace tally
