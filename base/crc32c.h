// CRC-32C (Castagnoli; RFC 3720 appendix B.4): finds accidental damage in stored records. It holds
// off no forger; that is what signatures are for.
#pragma once

#include "base/bytes.h"

namespace tally {

// Of `bytes` after bytes whose CRC is `before`.
uint32_t crc32c(ByteView bytes, uint32_t before = 0);

} // namespace tally
