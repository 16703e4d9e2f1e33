// Busy time by samples: tallyd opens a library with NVML's ABI (tests/tools/libnvidia-ml.c) while
// two cgroups hold a device, and lets go of it after them.
#include "tests/system/attested.h"
#include "tests/system/lab.h"

#include "base/durable.h"

#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>

namespace tally {
namespace {

void hold_for(unsigned milliseconds, Deed &deed) {
    Fd device(open("/dev/full", O_RDONLY | O_CLOEXEC));
    if (!device)
        return;
    sleep_ms(milliseconds);
    deed.opens = 1; // it came to its end
}

std::string own_cgroup() {
    auto file = read_text("/proc/self/cgroup");
    size_t at = file ? file->find("0::") : std::string::npos;
    return at == std::string::npos
               ? ""
               : cgroup2_mount() + file->substr(at + 3, file->find('\n', at) - at - 3);
}

class NvmlOfTheDaemon : public testing::Test {
protected:
    void SetUp() override {
        std::string beside =
            std::filesystem::path(Lab::program("tests/libnvidia-ml.so.1")).parent_path();
        setenv("LD_LIBRARY_PATH", beside.c_str(), 1);
        setenv("TALLY_NVML_SCRIPT", lab_.path("script").c_str(), 1);
    }
    void TearDown() override {
        unsetenv("LD_LIBRARY_PATH");
        unsetenv("TALLY_NVML_SCRIPT");
    }
    // What the library says from now on.
    void script(const std::string &facts) const {
        timespec at = {};
        clock_gettime(CLOCK_REALTIME, &at);
        lab_.write("script", "start " + std::to_string(at.tv_sec * 1000 + at.tv_nsec / 1000000) +
                                 "\nopens /dev/full\ngpu 0000:3b:00.0\n" + facts);
    }
    static double busy_seconds(const Attested &attested, const std::string &directory) {
        double sum = 0;
        for (const AttestedWindow &window : attested.windows) {
            for (const auto &[key, work] : window.work) {
                if (work.source() != "nvml" || key.cgroup_id != cgroup_id(directory))
                    continue;
                EXPECT_EQ(key.device, "node:stand-in");
                EXPECT_EQ(work.grade(), pb::GRADE_SAMPLED);
                EXPECT_EQ(work.engine(), work.has_busy_ns() ? "sm" : "");
                EXPECT_EQ(work.memory_bytes(), work.has_busy_ns() ? 0U : 1U << 20);
                sum += static_cast<double>(work.busy_ns()) / 1e9;
            }
        }
        return sum;
    }
    Lab lab_;
};

TEST_F(NvmlOfTheDaemon, EachTenantsSamplesAreItsTimeAndOurOwnFilesKeepNothingOpen) {
    std::string first = lab_.cgroup("first"), second = lab_.cgroup("second");
    auto rule = [](const std::string &tenant, const std::string &directory) {
        return "[[tenant]]\nname = \"" + tenant + "\"\ncgroups = [\"" +
               directory.substr(cgroup2_mount().size()) + "\"]\n";
    };
    lab_.write("tenants.d/lab.toml", rule("one", first) + rule("two", second));
    script("");
    lab_.start_collector();
    lab_.start_agent();
    TenantProcess one(first, [](Deed &deed) { hold_for(5500, deed); });
    TenantProcess two(second, [](Deed &deed) { hold_for(5500, deed); });
    std::string a = std::to_string(one.pid()), b = std::to_string(two.pid());
    script("1500-4500 busy " + a + " 60 0 0\n1500-4500 busy " + b + " 20 0 0\n1500-4500 memory " +
           a + " 1048576\n1500-4500 memory " + b + " 1048576\n");
    one.join();
    two.join();
    sleep_ms(4000);
    lab_.stop_all();
    ASSERT_EQ(one.deed().opens + two.deed().opens, 2U);

    auto attested = read_attested(lab_);
    ASSERT_TRUE(attested) << attested.error().message;
    EXPECT_NEAR(busy_seconds(*attested, first), 1.8, 0.2);
    EXPECT_NEAR(busy_seconds(*attested, second), 0.6, 0.1);
    AttestedKey own{cgroup_id(own_cgroup()), "node:stand-in"};
    pb::Usage opened = attested->sum(own);
    EXPECT_GT(opened.held_ns(), 3'000'000'000U) << "what we hold ourselves is in the record";
    EXPECT_LT(opened.held_ns(), 8'500'000'000U);
    EXPECT_EQ(opened.open_files(), 0U) << "closed when nobody else held it";

    Outcome report = lab_.tally({"report", lab_.log(), "--work", "--by", "tenant", "--csv"});
    std::string csv = report.output;
    for (const char *tenant : {"one", "two"}) {
        size_t row = csv.find(std::string("\n") + tenant + ",");
        ASSERT_NE(row, std::string::npos) << csv;
        EXPECT_NE(csv.substr(row + 1, csv.find('\n', row + 1) - row).find(",nvml,sampled,"),
                  std::string::npos)
            << csv;
    }
}

TEST_F(NvmlOfTheDaemon, AHungDriverHoldsUpNoStatement) {
    std::string first = lab_.cgroup("first");
    script("hang nvmlInit_v2\n");
    lab_.start_collector();
    lab_.start_agent();
    TenantProcess one(first, [](Deed &deed) { hold_for(9000, deed); });
    one.join();
    uint64_t before = boottime_ns();
    lab_.stop_all();
    EXPECT_LT(boottime_ns() - before, 5'000'000'000U);
    ASSERT_EQ(one.deed().opens, 1U);
    auto attested = read_attested(lab_);
    ASSERT_TRUE(attested) << attested.error().message;
    EXPECT_GT(attested->sum({cgroup_id(first), "node:stand-in"}).held_ns(), 7'000'000'000U);
    std::string reason;
    for (const AttestedWindow &window : attested->windows) {
        EXPECT_LT(window.end_ns - window.begin_ns, 3'000'000'000U);
        if (auto told = window.sources.find("nvml"); told != window.sources.end())
            reason = told->second;
    }
    EXPECT_EQ(reason, "libnvidia-ml has not answered for over 5 s");
}

} // namespace
} // namespace tally
