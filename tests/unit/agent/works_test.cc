// Work evidence: what sources say becomes rows of the statement; interrupts are counted by a real
// program on this kernel.
#include "agent/statement/statement.h"
#include "agent/work/sources.h"
#include "tests/unit/agent/completed.h"
#include "tests/unit/agent/scratch.h"

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>
#include <thread>

namespace tally {
namespace {

namespace fs = std::filesystem;

// An interrupt number of this machine that goes on by itself: the one that came most often.
std::string busiest_interrupt() {
    std::ifstream table("/proc/interrupts");
    std::string line, busiest;
    uint64_t most = 0;
    while (std::getline(table, line)) {
        std::istringstream words(line);
        std::string number;
        words >> number;
        if (number.empty() || number.back() != ':' ||
            number.find_first_not_of("0123456789:") != std::string::npos)
            continue;
        uint64_t sum = 0;
        for (uint64_t count = 0; words >> count;)
            sum += count;
        if (sum > most) {
            most = sum;
            busiest = number.substr(0, number.size() - 1);
        }
    }
    return busiest;
}

TEST(Interrupts, OfAHeldDeviceAreCountedWhileItIsHeld) {
    std::string number = busiest_interrupt();
    ASSERT_FALSE(number.empty()) << "no device of this machine interrupts";
    Scratch scratch;
    fs::path function = fs::path(scratch / "sys") / "bus/pci/devices/0000:01:00.0";
    fs::create_directories(function / "msi_irqs");
    std::ofstream(function / "msi_irqs" / number) << "msix\n";
    std::map<uint32_t, Device> devices{
        {3, {.id = "pci:0000:01:00.0", .pci_addresses = {"0000:01:00.0"}}}};
    std::vector<wire_holding> none,
        held{{.workload = 7, .process = 1, .fd = 5, .device = 3, .zero = 0}};

    auto source = interrupts_source(scratch / "sys");
    source->look({none, devices, kSecond});
    EXPECT_TRUE(source->take(kSecond).empty()) << "nothing is held: nothing is attached";

    source->look({held, devices, kSecond});
    ASSERT_EQ(source->absence(), "");
    // Disk interrupts, if the timer's are not listed by number.
    for (int i = 0; i < 20; i++) {
        std::ofstream(scratch / "file") << i << std::flush;
        if (Fd file(open((scratch / "file").c_str(), O_RDONLY)); file)
            fsync(file.get());
        std::this_thread::sleep_for(std::chrono::milliseconds(60));
    }
    WorkRows rows = source->take(2 * kSecond);
    ASSERT_EQ(rows.size(), 1U);
    const auto &[key, figures] = *rows.begin();
    EXPECT_EQ(key, (WorkKey{0, 3, ""}));
    EXPECT_GT(figures.counts.at("interrupts"), 0U);
    EXPECT_GE(figures.active_seconds, 1U);
    EXPECT_LE(figures.active_seconds, 3U);
    EXPECT_FALSE(figures.busy_ns) << "counts, but does not time";

    source->look({none, devices, 3 * kSecond});
    source->take(3 * kSecond); // what came until then
    EXPECT_TRUE(source->take(4 * kSecond).empty());
}

class Rows : public testing::Test {
protected:
    pb::Statement make() {
        static const std::set<UsageKey> untracked;
        static const std::vector<pb::Event> events;
        auto statements = make_statements({before_.at,
                                           1,
                                           before_,
                                           after_,
                                           pb::RUNG_SCANNED,
                                           events,
                                           nullptr,
                                           untracked,
                                           work_,
                                           {}},
                                          [](uint64_t id) {
                                              Workload workload;
                                              workload.cgroup_path = "/w" + std::to_string(id);
                                              return to_message(id, workload, true);
                                          });
        EXPECT_EQ(statements.size(), 1U);
        return statements.at(0);
    }
    Snapshot before_{.at = {10 * kSecond, 1000 * kSecond}};
    Snapshot after_{.at = {20 * kSecond, 1010 * kSecond}};
    std::vector<SourcedWork> work_;
};

TEST_F(Rows, WorkOnNoDeviceInParticularIsOnTheOneThatWasHeld) {
    after_.usage[{7, 4}] = {kSecond, 1, 0, 1, 0};
    after_.usage[{8, 4}] = {kSecond, 1, 0, 1, 0};
    after_.usage[{8, 5}] = {kSecond, 1, 0, 1, 0};
    work_.push_back({"cuda_uprobe", pb::GRADE_ABLE, {7, {}, ""}, {.counts = {{"launches", 12}}}});
    work_.push_back({"cuda_uprobe", pb::GRADE_ABLE, {8, {}, ""}, {.counts = {{"launches", 3}}}});
    pb::Statement statement = make();
    ASSERT_EQ(statement.work_size(), 2);
    EXPECT_EQ(statement.work(0).device(), 4U);
    EXPECT_EQ(statement.work(0).counts(0).count(), 12U);
    EXPECT_FALSE(statement.work(1).has_device()) << "two were held: nobody knows which";
    EXPECT_EQ(breach_of(statement), "");
}

TEST_F(Rows, WorkOfWhoHeldNothingIsSaidToo) {
    work_.push_back({"nvml", pb::GRADE_SAMPLED, {9, 4, ""}, {.busy_ns = kSecond}});
    pb::Statement statement = make();
    EXPECT_EQ(statement.usage_size(), 0);
    ASSERT_EQ(statement.work_size(), 1);
    EXPECT_EQ(statement.workloads(static_cast<int>(statement.work(0).workload())).cgroup_path(),
              "/w9");
    EXPECT_EQ(breach_of(statement), "");
}

TEST_F(Rows, NothingIsBusierThanTheWindowIsLong) {
    work_.push_back({"drm_sched",
                     pb::GRADE_EXACT,
                     {7, 4, "gfx"},
                     {.busy_ns = 25 * kSecond, .capacity = 2, .active_seconds = 40}});
    pb::Statement statement = make();
    EXPECT_EQ(statement.work(0).busy_ns(), 20 * kSecond);
    EXPECT_EQ(statement.work(0).active_seconds(), 12U);
    EXPECT_EQ(breach_of(statement), "");

    statement.mutable_work(0)->set_busy_ns(20 * kSecond + 1);
    EXPECT_NE(breach_of(statement), "");
    statement.mutable_work(0)->set_busy_ns(1);
    statement.mutable_work(0)->set_active_seconds(13);
    EXPECT_NE(breach_of(statement), "");
    statement.mutable_work(0)->set_active_seconds(1);
    statement.mutable_work(0)->set_workload(1);
    EXPECT_NE(breach_of(statement), "") << "no such workload";
    statement.mutable_work(0)->clear_workload();
    EXPECT_EQ(breach_of(statement), "") << "the device's as a whole";
    statement.mutable_work(0)->clear_device();
    EXPECT_NE(breach_of(statement), "");
    statement.mutable_work(0)->set_device(4);
    statement.mutable_work(0)->clear_source();
    EXPECT_NE(breach_of(statement), "");
}

// Remembers what it was last shown.
class Witness : public WorkSource {
public:
    explicit Witness(std::vector<std::pair<size_t, pb::Rung>> &shown) : shown_(shown) {}
    const char *name() const override { return "nvml"; }
    pb::Grade grade() const override { return pb::GRADE_SAMPLED; }
    std::string absence() const override { return ""; }
    void look(const Look &look) override { shown_.emplace_back(look.holdings.size(), look.rung); }
    WorkRows take(uint64_t) override { return {}; }

private:
    std::vector<std::pair<size_t, pb::Rung>> &shown_;
};

TEST(WorkSources, WhenNothingIsHeldTheLastScansHoldingsAreOver) {
    std::vector<std::pair<size_t, pb::Rung>> shown;
    std::vector<std::unique_ptr<WorkSource>> sources;
    sources.push_back(std::make_unique<Witness>(shown));
    Works works(std::move(sources));
    std::vector<wire_holding> stale{{.workload = 7, .process = 1, .fd = 5, .device = 3, .zero = 0}};
    std::map<uint32_t, Device> devices;
    works.look({stale, devices, kSecond, pb::RUNG_EXACT}, false);
    works.look({stale, devices, 2 * kSecond, pb::RUNG_EXACT}, true);
    works.look({stale, devices, 3 * kSecond, pb::RUNG_EXACT}, false);
    works.look({stale, devices, 4 * kSecond, pb::RUNG_EXACT}, false);
    // Once before anything is held, to prepare; when nothing is any more once, and no more.
    using Shown = std::vector<std::pair<size_t, pb::Rung>>;
    EXPECT_EQ(shown, (Shown{{0, pb::RUNG_EXACT}, {1, pb::RUNG_EXACT}, {0, pb::RUNG_EXACT}}));
}

TEST(WorkSources, WhatIsSwitchedOffIsSaidOnce) {
    Works works = make_works({});
    EXPECT_FALSE(works.any());
    auto states = works.tell_states(false);
    ASSERT_EQ(states.size(), work_source_names().size());
    EXPECT_FALSE(states[0].at_work());
    EXPECT_EQ(states[0].reason(), "switched off");
    EXPECT_TRUE(works.tell_states(false).empty()) << "it is what it was";
    EXPECT_EQ(works.tell_states(true).size(), states.size());
}

} // namespace
} // namespace tally
