// Somebody with a debugger on the agent.
#pragma once

#include <cstdint>
#include <sys/types.h>

namespace tally {

// The number of the process's descriptor on the BPF link with this id; -1 if it has none.
int descriptor_of_link(pid_t process, uint32_t link);

// Makes the process call close(fd).
bool close_in(pid_t process, int fd);

} // namespace tally
