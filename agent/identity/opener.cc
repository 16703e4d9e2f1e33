#include "agent/identity/opener.h"

#include <cstring>
#include <sys/sysmacros.h>

namespace tally {

Opener opener_of(const wire_opener &raw) {
    Opener opener;
    opener.executable = {raw.executable, strnlen(raw.executable, sizeof(raw.executable))};
    // The kernel's dev_t is not user space's (include/linux/kdev_t.h, MINORBITS).
    opener.device = raw.inode == 0 ? 0 : makedev(raw.device >> 20, raw.device & 0xfffff);
    opener.inode = raw.inode;
    opener.user = raw.user;
    opener.known = true;
    return opener;
}

} // namespace tally
