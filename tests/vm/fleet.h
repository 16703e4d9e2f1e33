// One collector and one agent, which the tests of a suite share, and what they attested.
#pragma once

#include "tests/system/lab.h"

#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <string>

namespace tally {

// Nothing, unless this rung is to be tested.
inline auto on_rung(const char *rung) {
    std::vector<std::string> wanted = rungs();
    std::erase_if(wanted, [&](const std::string &name) { return name != rung; });
    return testing::ValuesIn(wanted);
}

// Guests are tenants by their machine scope, services by their unit.
class Recording : public testing::TestWithParam<std::string> {
protected:
    void SetUp() override; // starts the lab when the suite's first test needs it
    static void TearDownTestSuite();

    // Whether the agent says that it runs on this rung.
    static bool runs_on(const std::string &rung);
    static bool sees_releases() { return runs_on("exact") || runs_on("kprobe"); }
    // Seconds by which an edge may be late: what the report rounds away; or a scan, and a little.
    static double tolerance() { return sees_releases() ? 0.002 : 1.3; }
    // Long enough that a device which came is watched: the agent looks once a window.
    static void let_the_agent_look_for_devices() { sleep_ms(1300); }

    // Waits until what tenants did up to now is attested, and reads the report.
    static void read_report();
    // The tenant held `device` at least and at most so long, but for the tolerance. After
    // read_report().
    struct Span {
        uint64_t least_ns;
        uint64_t most_ns;
    };
    static void expect_held(const std::string &tenant, const std::string &device, Span span);
    static Span span(const Deed &deed) {
        return {deed.end_ns - deed.begin_ns, deed.after_ns - deed.before_ns};
    }
    // How often it opened the device; the rungs that only scan do not know.
    static void expect_opens(const std::string &tenant, uint64_t opens);

private:
    static inline std::unique_ptr<Lab> lab_;
    static inline bool connected_ = false;
    static inline std::map<std::string, std::map<std::string, std::string>> rows_;
};

} // namespace tally
