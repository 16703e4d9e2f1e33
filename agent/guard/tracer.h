// Whether somebody traces the agent (ptrace): who does can change what it says.
#pragma once

#include <optional>
#include <string>

namespace tally {

// From the text of /proc/PID/status: the tracer's process id; nothing if there is none.
std::optional<std::string> tracer_in(const std::string &status);

// Of this process, now: "by pid 123 (gdb)".
std::optional<std::string> find_tracer();

} // namespace tally
