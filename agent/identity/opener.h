// From the kernel side's record of who opened a device first to what a statement says of it.
#pragma once

#include "agent/identity/identity.h"
#include "bpf/wire.h"

namespace tally {

Opener opener_of(const wire_opener &raw);

} // namespace tally
