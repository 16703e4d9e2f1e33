// The ways by which an open file gets from one process to another.
#pragma once

#include <cstddef>
#include <sys/types.h>

namespace tally {

// SCM_RIGHTS: `fd` with `size` bytes of `data`. False if the socket does not take it.
bool send_fd(int socket, int fd, const void *data, size_t size);
// Waits unless the socket is non-blocking. The descriptor, or -1. `flags`: MSG_CMSG_CLOEXEC.
int receive_fd(int socket, void *data, size_t size, int flags = 0);

// pidfd_getfd: a copy of descriptor `fd` of the process behind `pidfd`; it is close-on-exec.
int take_fd(int pidfd, int fd);
int open_pidfd(pid_t pid);

// fork(2) straight into the cgroup whose directory is open at `cgroup`, or into our own if that is
// -1. With `sibling` the child is our parent's.
pid_t fork_into(int cgroup, bool sibling = false);

} // namespace tally
