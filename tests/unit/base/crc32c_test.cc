#include "base/crc32c.h"

#include <gtest/gtest.h>

namespace tally {
namespace {

TEST(Crc32c, PublishedCheckValue) {
    EXPECT_EQ(crc32c(view("123456789")), 0xe3069283u);
}

// RFC 3720 appendix B.4, whose values are printed in the order of the wire.
TEST(Crc32c, VectorsOfRfc3720) {
    Bytes bytes(32, 0x00);
    EXPECT_EQ(crc32c(bytes), 0x8a9136aau);
    bytes.assign(32, 0xff);
    EXPECT_EQ(crc32c(bytes), 0x62a8ab43u);
    for (size_t i = 0; i < bytes.size(); i++)
        bytes[i] = static_cast<uint8_t>(i);
    EXPECT_EQ(crc32c(bytes), 0x46dd794eu);
}

TEST(Crc32c, ContinuesWhereItStopped) {
    EXPECT_EQ(crc32c(view("")), 0u);
    EXPECT_EQ(crc32c(view("6789"), crc32c(view("12345"))), crc32c(view("123456789")));
}

} // namespace
} // namespace tally
