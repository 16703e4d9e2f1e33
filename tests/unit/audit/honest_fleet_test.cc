// A fleet that does nothing wrong for a month: no finding, and every second of it in the account.
#include "tests/unit/audit/rig.h"

#include <cstdlib>

namespace tally {

namespace {

constexpr uint64_t kSecond = TestHost::kSecond;

// A month of a fleet, TALLY_FLEET_HOSTS of them (2 unless it says more): windows of an hour where
// nothing is held, shorter ones while a tenant works; a clock that NTP slews; an upgrade of the
// agent that leaves half a second uncovered; inventories every few hours.
TEST(HonestFleet, AMonthOfItHasNoFinding) {
    const char *wanted = std::getenv("TALLY_FLEET_HOSTS");
    auto count = std::strtoul(wanted != nullptr ? wanted : "2", nullptr, 10);
    std::vector<std::string> names;
    for (unsigned long i = 0; i < count; i++)
        names.push_back("fleet" + std::to_string(i) + ".example");
    TestKeys fleet(names);
    std::vector<TestHost> hosts;
    for (const std::string &name : names)
        hosts.push_back(fleet.host(name));
    TestLog month(TestKeys::kOrigin, fleet.log_signers());
    uint64_t held = 0;
    constexpr int kHours = 30 * 24;
    for (int hour = 0; hour < kHours; hour++) {
        for (size_t i = 0; i < hosts.size(); i++) {
            bool busy = (static_cast<size_t>(hour) + i) % 6 == 0;
            for (int part = 0; part < (busy ? 4 : 1); part++) {
                pb::Statement statement = hosts[i].next();
                uint64_t length = (busy ? 900 : 3600) * kSecond;
                pb::Window &window = *statement.mutable_window();
                window.set_end_boottime_ns(window.begin_boottime_ns() + length);
                window.set_end_wall_ns(window.begin_wall_ns() + length +
                                       (hour % 2 == 0 ? 20'000'000 : 0) - 10'000'000);
                if (statement.has_inventory())
                    statement.mutable_inventory()->mutable_devices(0)->set_uuid("GPU-" +
                                                                                std::to_string(i));
                if (busy) {
                    statement.mutable_usage(0)->set_held_ns(length / 2);
                    held += length / 2;
                } else {
                    statement.clear_usage();
                    statement.clear_workloads();
                }
                if (hour == 300)
                    statement.mutable_recording()->set_since_boottime_ns(
                        window.begin_boottime_ns() + kSecond / 2);
                month.append(hosts[i].attest(statement));
            }
        }
    }
    month.publish();
    auto source = Source::open(month.directory());
    auto trust = Trust::load(fleet.path("log.vkeys"), fleet.path("fleet-ca.pem"));
    ASSERT_TRUE(source && trust);
    auto taken = take_account(*source, *trust);
    ASSERT_TRUE(taken) << taken.error().message;
    EXPECT_EQ(lines_of(taken->findings), std::vector<std::string>());
    EXPECT_EQ(taken->coverage.hosts().size(), count);
    uint64_t summed = 0;
    for (const auto &[key, sum] : taken->usage.rows())
        summed += sum.held_ns;
    EXPECT_EQ(summed, held);
}

} // namespace

} // namespace tally
