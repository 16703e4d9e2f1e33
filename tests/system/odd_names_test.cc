// Names that a tenant chooses must not stop the record: a cgroup directory may hold any bytes.
#include "tests/system/lab.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace tally {
namespace {

TEST(OddNames, ACgroupThatIsNoUtf8IsRecordedAndReported) {
    Lab lab;
    lab.start_collector();
    lab.start_agent();
    std::string cgroup = lab.cgroup("x\xff\xfe\x1b[2J,\"y\"");
    TenantProcess tenant(cgroup, [](Deed &deed) {
        int fd = open("/dev/full", O_RDONLY);
        deed.opens = fd >= 0 ? 1 : 0;
        sleep_ms(1500);
    });
    tenant.join();
    ASSERT_EQ(tenant.deed().opens, 1U);
    sleep_ms(1500);
    lab.stop_all();
    EXPECT_NE(lab.agent().output().find("everything is receipted"), std::string::npos)
        << lab.agent().output() << lab.collector().output();
    Outcome report = lab.tally({"report", lab.log()});
    EXPECT_LE(report.status, 1) << report.output;
    EXPECT_NE(report.output.find("x\\xff\\xfe\\x1b[2J"), std::string::npos) << report.output;
    EXPECT_EQ(report.output.find('\x1b'), std::string::npos);
}

} // namespace
} // namespace tally
