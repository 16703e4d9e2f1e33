// What the agent can say about itself and the kernel it runs on.
#pragma once

#include "base/result.h"

#include <string>

namespace tally {

// 16 bytes; a new one at each boot.
Result<std::string> read_boot_id();

// The linker's build id of the running program, hex; empty if it was linked without.
std::string build_id();

std::string kernel_release();

// Names of the capabilities that recording needs and this process lacks, comma-separated.
std::string missing_capabilities();

} // namespace tally
