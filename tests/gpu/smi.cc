#include "tests/gpu/smi.h"

#include <csignal>
#include <sstream>

namespace tally {

// Once a second: "gpu pid type sm mem enc dec ... command", "-" for what is not known; lines that
// begin with "#" name the columns (nvidia-smi pmon -h).
void NvidiaSmi::start(const std::string &output_file) {
    program_ = Program({"nvidia-smi", "pmon", "-s", "u", "-d", "1"}, output_file);
}

void NvidiaSmi::stop() {
    output_ = program_.output();
    program_ = Program();
}

std::optional<double> NvidiaSmi::busy_seconds(pid_t pid) const {
    std::optional<double> seconds;
    std::istringstream lines(output_);
    std::string line;
    while (std::getline(lines, line)) {
        std::istringstream words(line);
        long gpu = 0, process = 0;
        std::string type, sm;
        if (line.starts_with('#') || !(words >> gpu >> process >> type >> sm) || process != pid)
            continue;
        double percent = 0;
        std::istringstream(sm) >> percent; // "-" is none
        seconds = seconds.value_or(0) + percent / 100;
    }
    return seconds;
}

} // namespace tally
