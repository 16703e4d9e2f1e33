// What the kernel side records of an opener, and what a workload keeps of it.
#include "agent/identity/opener.h"
#include "agent/statement/statement.h"

#include <cstring>
#include <gtest/gtest.h>
#include <sys/sysmacros.h>

namespace tally {
namespace {

TEST(Opener, AKernelsDeviceNumberBecomesUserSpaces) {
    wire_opener raw = {};
    raw.device = WIRE_DEVICE_NUMBER(259, 70000);
    raw.inode = 4711;
    raw.user = 1000;
    std::strcpy(raw.executable, "python3");
    Opener opener = opener_of(raw);
    EXPECT_TRUE(opener.known);
    EXPECT_EQ(opener.device, makedev(259, 70000));
    EXPECT_EQ(opener.inode, 4711U);
    EXPECT_EQ(opener.user, 1000U);
    EXPECT_EQ(opener.executable, "python3");
}

TEST(Opener, ANameThatFillsItsRoomHasNoEndOfItsOwn) {
    wire_opener raw = {};
    std::memset(raw.executable, 'x', sizeof(raw.executable));
    EXPECT_EQ(opener_of(raw).executable, std::string(sizeof(raw.executable), 'x'));
    EXPECT_EQ(opener_of({}).device, 0U);
}

TEST(Opener, IsToldOfWhatNobodyAnswersForAlone) {
    Workload workload;
    workload.opener = {"\xff odd", makedev(8, 1), 5, 1000, true};
    pb::Workload told = to_message(7, workload, /*brief=*/false);
    EXPECT_EQ(told.opener().executable(), "\\xff odd");
    EXPECT_EQ(told.opener().user(), 1000U);
    EXPECT_FALSE(to_message(7, workload, /*brief=*/true).has_opener());
    workload.tenant.name = "acme";
    EXPECT_FALSE(to_message(7, workload, /*brief=*/false).has_opener());
    workload.tenant.name = "service:dcgm";
    told = to_message(7, workload, /*brief=*/false);
    EXPECT_FALSE(told.has_opener());
    EXPECT_EQ(told.service(), "dcgm");
    EXPECT_EQ(told.tenant(), "");
    EXPECT_EQ(from_message(told).tenant.name, "service:dcgm");
}

} // namespace
} // namespace tally
