#include "base/crc32c.h"

#include <array>

namespace tally {

namespace {

constexpr uint32_t kPolynomial = 0x82f63b78; // 0x1edc6f41, bits reversed

constexpr std::array<uint32_t, 256> make_table() {
    std::array<uint32_t, 256> table{};
    for (uint32_t byte = 0; byte < table.size(); byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? kPolynomial : 0);
        table[byte] = crc;
    }
    return table;
}

constexpr std::array<uint32_t, 256> kTable = make_table();

} // namespace

uint32_t crc32c(ByteView bytes, uint32_t before) {
    uint32_t crc = ~before;
    for (uint8_t byte : bytes)
        crc = crc >> 8 ^ kTable[(crc ^ byte) & 0xff];
    return ~crc;
}

} // namespace tally
