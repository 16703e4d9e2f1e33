// A kernel file system that we can read although nobody mounted it: fsopen(2) and fsmount(2) make a
// mount that hangs on a descriptor only, so the host's mount table stays as it was.
#pragma once

#include "base/fd.h"
#include "base/result.h"

namespace tally {

// `type`: "tracefs", "cgroup2". Needs CAP_SYS_ADMIN and Linux 5.2.
Result<Fd> mount_detached(const char *type);

} // namespace tally
