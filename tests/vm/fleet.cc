#include "tests/vm/fleet.h"

#include <algorithm>
#include <csignal>

namespace tally {

namespace {
constexpr const char *kTenants = R"(
[[tenant]]
name = "manager"
cgroups = ["/system.slice/libvirtd.service"]
)";

// systemd's escapes hold backslashes, which a glob would take for its own.
std::string guest_rule(const std::string &guest) {
    return "[[tenant]]\nname = \"" + guest + "\"\ncgroups = [\"/machine.slice/machine-qemu*x2d" +
           guest + ".scope\"]\n";
}
} // namespace

void Recording::SetUp() {
    if (lab_ == nullptr) {
        lab_ = std::make_unique<Lab>();
        std::string rules = kTenants;
        for (const char *guest : {"first", "second", "receiver", "keeper", "reset", "removed",
                                  "returned", "rendering", "modern"})
            rules += guest_rule(guest);
        lab_->write("tenants.d/lab.toml", rules);
        lab_->start_collector();
        lab_->start_agent({"--hooks=" + GetParam()});
        connected_ = lab_->agent().says("connected");
    }
    ASSERT_TRUE(connected_) << lab_->agent().output();
}

void Recording::TearDownTestSuite() {
    if (lab_ == nullptr)
        return;
    lab_->stop_all();
    Outcome verified = lab_->tally({"verify", lab_->log()});
    EXPECT_LE(verified.status, 1) << verified.output;
    lab_.reset();
}

bool Recording::runs_on(const std::string &rung) {
    return lab_->agent().output().find("on rung " + rung) != std::string::npos;
}

void Recording::read_report() {
    constexpr unsigned kScan = 1000;
    constexpr unsigned kWindow = 1000;
    sleep_ms(kWindow + (sees_releases() ? 0 : kScan) + 300); // and its way to the log
    rows_ = lab_->report();
}

void Recording::expect_held(const std::string &tenant, const std::string &device, Span span) {
    ASSERT_TRUE(rows_.contains(tenant)) << "no row for " << tenant << "\n"
                                        << lab_->agent().output();
    EXPECT_EQ(rows_.at(tenant).at("device"), device);
    double held = std::stod(rows_.at(tenant).at("held_seconds"));
    double least = static_cast<double>(span.least_ns) / 1e9;
    double most = static_cast<double>(span.most_ns) / 1e9;
    std::printf("%s: held %.3f s to %.3f s, attested %.3f s\n", tenant.c_str(), least, most, held);
    EXPECT_GE(held, least - tolerance());
    EXPECT_LE(held, most + tolerance());
}

void Recording::expect_opens(const std::string &tenant, uint64_t opens) {
    ASSERT_TRUE(rows_.contains(tenant)) << "no row for " << tenant;
    if (runs_on("scanned"))
        return;
    EXPECT_EQ(std::stoull(rows_.at(tenant).at("opens")), opens);
}

} // namespace tally
