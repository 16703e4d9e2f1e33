#include "agent/record/detached_mount.h"

#include <string>
#include <sys/mount.h>

namespace tally {

Result<Fd> mount_detached(const char *type) {
    Fd context(fsopen(type, FSOPEN_CLOEXEC));
    if (!context)
        return errno_error("fsopen " + std::string(type));
    if (fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
        return errno_error("fsconfig " + std::string(type));
    Fd mount(fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
    if (!mount)
        return errno_error("fsmount " + std::string(type));
    return mount;
}

} // namespace tally
