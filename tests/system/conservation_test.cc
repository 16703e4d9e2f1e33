// Conservation: whatever tenants do, and however often the agent is killed, the held time that the
// log attests is the held time there was. Hundreds of processes in tens of cgroups do what they
// please with three devices (storm/); what they wrote down themselves bounds what the log may say.
//
//   TALLY_STORM_SECONDS  how long, 15 by default (`make test-conservation`: 60)
//   TALLY_STORM_SEED     repeats a seed; each run prints its own
#include "tests/system/attested.h"
#include "tests/system/lab.h"
#include "tests/system/storm/evidence.h"
#include "tests/system/storm/oracle.h"
#include "tests/system/storm/storm.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <gtest/gtest.h>
#include <random>

namespace tally {
namespace {

using namespace storm;

constexpr unsigned kCgroups = 24;
constexpr unsigned kPopulation = 300;

uint64_t environment(const char *name, uint64_t otherwise) {
    const char *value = std::getenv(name);
    return value != nullptr ? std::strtoull(value, nullptr, 10) : otherwise;
}

// A storm and what the log made of it.
class Recorded {
public:
    Recorded(const std::string &rung, const std::string &recording, bool kill_agent);

    const History &history() const { return history_; }
    const Attested &attested() const { return attested_; }
    const ScanGaps &gaps() const { return *gaps_; }
    Rules rules() const { return {rung_, attested_.windows.front().since_ns, ready_ns_}; }
    AttestedKey key(uint16_t cgroup, uint8_t device) const {
        return {cgroup_ids_[cgroup], std::string("node:") + kDevices[device].name};
    }

private:
    void kill_and_restart(const std::string &rung, const TenantStorm &storm, uint64_t seed);
    void print(const TenantStorm &storm) const;

    Lab lab_;
    std::vector<uint64_t> cgroup_ids_;
    History history_;
    Attested attested_;
    std::unique_ptr<ScanGaps> gaps_;
    pb::Rung rung_ = pb::RUNG_UNSPECIFIED;
    uint64_t ready_ns_ = 0;
    unsigned kills_ = 0;
};

Recorded::Recorded(const std::string &rung, const std::string &recording, bool kill_agent) {
    Plan plan;
    plan.seed = environment("TALLY_STORM_SEED", std::random_device()());
    plan.population = static_cast<unsigned>(environment("TALLY_STORM_PROCESSES", kPopulation));
    auto seconds = static_cast<unsigned>(environment("TALLY_STORM_SECONDS", 15));
    for (unsigned i = 0; i < kCgroups; i++) {
        plan.cgroups.push_back(lab_.cgroup("workload-" + std::to_string(i)));
        cgroup_ids_.push_back(cgroup_id(plan.cgroups.back()));
    }
    plan.nodes = lab_.path("nodes");
    std::filesystem::create_directory(plan.nodes);
    std::printf("seed %llu, %u seconds\n", static_cast<unsigned long long>(plan.seed), seconds);

    std::string config;
    for (const DeviceNumber &device : kDevices)
        config += std::string("[[device]]\nname = \"") + device.name + "\"\nnode = \"/dev/" +
                  device.name + "\"\n";
    lab_.write("tallyd.toml", lab_.agent_config(config, recording));
    lab_.start_collector();

    TenantStorm storm(plan);
    sleep_ms(1000); // some files are open already when the agent comes
    lab_.start_agent({"--hooks=" + rung});
    ready_ns_ = boottime_ns();
    storm.end_after(seconds);
    if (kill_agent)
        kill_and_restart(rung, storm, plan.seed);
    EXPECT_TRUE(storm.join()) << storm.journal().mistakes.load() << " mistakes of the storm itself";
    sleep_ms(1500);
    EXPECT_TRUE(lab_.agent().says("connected", 30000)) << lab_.agent().output();
    lab_.stop_all();

    history_ = reconstruct(storm.journal());
    auto attested = read_attested(lab_);
    EXPECT_TRUE(attested) << attested.error().message;
    if (attested)
        attested_ = std::move(*attested);
    std::vector<ScanWindow> windows;
    for (const AttestedWindow &window : attested_.windows)
        windows.push_back({window.begin_ns, window.end_ns, window.longest_scan_gap_ns});
    gaps_ = std::make_unique<ScanGaps>(std::move(windows));
    rung_ = attested_.windows.empty() ? rung_ : attested_.windows.front().rung;
    print(storm);
}

void Recorded::kill_and_restart(const std::string &rung, const TenantStorm &storm, uint64_t seed) {
    std::mt19937_64 random(seed);
    auto wait_up_to = [&](uint64_t milliseconds) {
        uint64_t until = boottime_ns() + random() % milliseconds * 1'000'000;
        while (storm.blowing() && boottime_ns() < until)
            sleep_ms(10);
        return storm.blowing();
    };
    while (wait_up_to(8000)) {
        lab_.agent().stop(SIGKILL);
        kills_++;
        wait_up_to(2500);
        lab_.start_agent({"--hooks=" + rung});
    }
}

void Recorded::print(const TenantStorm &storm) const {
    const Journal &journal = storm.journal();
    auto done = [&](Kind kind) {
        return static_cast<unsigned long long>(history_.done[static_cast<size_t>(kind)]);
    };
    std::printf("%u processes, up to %u at a time, in %u cgroups, pace %.1f at worst; agent killed "
                "%u times\n",
                journal.actors.load() - 1, journal.most_alive.load(), kCgroups,
                journal.slowest_pace.load() / 100.0, kills_);
    std::printf("opens %llu, copies %llu, closes %llu, forks %llu, sends %llu, receives %llu, "
                "discards %llu, takes %llu, migrations %llu, execs %llu, exits %llu, kills %llu\n",
                done(Kind::kOpen), done(Kind::kCopy), done(Kind::kClose), done(Kind::kFork),
                done(Kind::kSend), done(Kind::kReceive), done(Kind::kDiscard), done(Kind::kTake),
                done(Kind::kMigrate), done(Kind::kExec), done(Kind::kExit), done(Kind::kKill));
}

double seconds(uint64_t ns) {
    return static_cast<double>(ns) / 1e9;
}

// How far the attested time is from what the storm proves, and the share of what the rung's
// tolerance allows.
struct Deviation {
    uint64_t worst_ns = 0;
    double worst_share = 0;
    void add(uint64_t more, uint64_t less, uint64_t allowed) {
        if (more <= less)
            return;
        worst_ns = std::max(worst_ns, more - less);
        worst_share = std::max(worst_share,
                               static_cast<double>(more - less) / static_cast<double>(allowed + 1));
    }
};

class Conservation : public testing::TestWithParam<std::string> {
protected:
    static void for_each_pair(const std::function<void(uint16_t cgroup, uint8_t device)> &visit) {
        for (uint16_t cgroup = 0; cgroup < kCgroups; cgroup++) {
            for (uint8_t device = 0; device < kDevices.size(); device++) {
                SCOPED_TRACE("workload-" + std::to_string(cgroup) + " on " + kDevices[device].name);
                visit(cgroup, device);
            }
        }
    }
    static void expect_opens(const Rules &rules, const pb::Usage &usage, const OpenBounds &opens) {
        if (rules.rung == pb::RUNG_SCANNED)
            return; // scans see files, not opens
        EXPECT_GE(usage.opens(), opens.least);
        EXPECT_LE(usage.opens(), opens.most);
    }
    static void expect_windows(const Attested &attested, const AttestedKey &key,
                               const Bounds &bounds) {
        // An edge between a window's end and the reading of its totals may count on either side.
        uint64_t reading_before = 0;
        for (const AttestedWindow &window : attested.windows) {
            auto row = window.usage.find(key);
            uint64_t held = row == window.usage.end() ? 0 : row->second.held_ns();
            uint64_t least = bounds.least.length(window.begin_ns, window.end_ns);
            uint64_t most = bounds.most.length(window.begin_ns, window.end_ns);
            uint64_t reading = reading_before + window.reading_ns;
            reading_before = window.reading_ns;
            EXPECT_LE(held, window.end_ns - window.begin_ns);
            EXPECT_GE(held + reading, least) << "in the window that ends at " << window.end_ns;
            EXPECT_LE(held, most + reading) << "in the window that ends at " << window.end_ns;
        }
    }
    // Whoever held it, the device was held.
    static void expect_occupancy(const Recorded &recorded, const Oracle &oracle, uint8_t device) {
        const Attested &attested = recorded.attested();
        Spans least, most;
        uint64_t sum = 0;
        for (uint16_t cgroup = 0; cgroup < kCgroups; cgroup++) {
            Bounds bounds = oracle.held(cgroup, device);
            least.add(bounds.least);
            most.add(bounds.most);
            sum += attested.sum(recorded.key(cgroup, device)).held_ns();
        }
        SCOPED_TRACE(kDevices[device].name);
        uint64_t from = recorded.rules().since_ns;
        uint64_t to = attested.end_ns();
        pb::Occupancy occupied = attested.occupied(std::string("node:") + kDevices[device].name);
        EXPECT_GE(occupied.occupied_ns(), least.length(from, to));
        EXPECT_LE(occupied.occupied_ns() - occupied.late_ns(), most.length(from, to));
        EXPECT_LE(occupied.occupied_ns(), to - from);
        std::printf("%s: occupied for %.3f s, of them %.6f s nobody's at most; proven %.3f to "
                    "%.3f s; its holders' time is %.3f s\n",
                    kDevices[device].name, seconds(occupied.occupied_ns()),
                    seconds(occupied.late_ns()), seconds(least.length(from, to)),
                    seconds(most.length(from, to)), seconds(sum));
        for (const AttestedWindow &window : attested.windows) {
            EXPECT_TRUE(window.tells_occupancy);
            for (const std::string &imbalance : window.imbalances)
                ADD_FAILURE() << imbalance << ", in the window that ends at " << window.end_ns;
        }
    }
};

TEST_P(Conservation, AttestedTimeIsTheTimeHeld) {
    Recorded recorded(GetParam(), "", /*kill_agent=*/std::getenv("TALLY_STORM_NO_KILL") == nullptr);
    const Attested &attested = recorded.attested();
    ASSERT_FALSE(attested.windows.empty());
    for (const auto &[place, count] : attested.losses())
        ADD_FAILURE() << count << " lost: " << place;

    Rules rules = recorded.rules();
    Oracle oracle(recorded.history(), recorded.gaps(), rules);
    rules.widen = false;
    Oracle proven(recorded.history(), recorded.gaps(), rules);
    uint64_t from = rules.since_ns;
    uint64_t to = attested.end_ns();
    uint64_t sum = 0, sum_least = 0, sum_most = 0, sum_surely = 0, sum_perhaps = 0;
    size_t holds = 0;
    int shown = 0;
    Deviation below, above;
    for_each_pair([&](uint16_t cgroup, uint8_t device) {
        pb::Usage usage = attested.sum(recorded.key(cgroup, device));
        Bounds bounds = oracle.held(cgroup, device);
        uint64_t held = usage.held_ns();
        uint64_t least = bounds.least.length(from, to);
        uint64_t most = bounds.most.length(from, to);
        EXPECT_GE(held, least) << seconds(least - held) << " s too little";
        EXPECT_LE(held, most) << seconds(held - most) << " s too much";
        expect_windows(attested, recorded.key(cgroup, device), bounds);
        if ((held < least || held > most) && shown++ < 8)
            std::printf("%s", evidence(recorded.history(), bounds, attested,
                                       recorded.key(cgroup, device), cgroup, device)
                                  .c_str());
        expect_opens(rules, usage, oracle.opens(cgroup, device));
        EXPECT_EQ(usage.opens() + usage.found(), usage.releases()) << "files that came and went";
        EXPECT_EQ(usage.open_files(), 0U);

        Bounds unwidened = proven.held(cgroup, device);
        uint64_t surely = unwidened.least.length(from, to);
        uint64_t perhaps = unwidened.most.length(from, to);
        below.add(surely, held, surely - least);
        above.add(held, perhaps, most - perhaps);
        sum += held;
        sum_least += least;
        sum_most += most;
        sum_surely += surely;
        sum_perhaps += perhaps;
        holds += unwidened.most.count();
    });
    for (uint8_t device = 0; device < kDevices.size(); device++)
        expect_occupancy(recorded, oracle, device);
    EXPECT_GT(sum_surely, (to - from) * kCgroups * kDevices.size() / 30) << "too calm a storm";
    std::printf("%zu holds; proven %.3f to %.3f s of %.3f s, allowed %.3f to %.3f s, attested "
                "%.3f s\n",
                holds, seconds(sum_surely), seconds(sum_perhaps),
                seconds(to - from) * kCgroups * kDevices.size(), seconds(sum_least),
                seconds(sum_most), seconds(sum));
    std::printf("worst (workload, device): %.6f s less than proven, %.0f %% of what is allowed; "
                "%.6f s more, %.0f %%\n",
                seconds(below.worst_ns), 100 * below.worst_share, seconds(above.worst_ns),
                100 * above.worst_share);
}

// With room for a few open files only, opens go unrecorded. That is counted and attested, and who
// reads the statements still knows what was held at least (what they say) and at most (all of a
// window with a loss, and of the one after, until a scan has found room for every file), but for
// what is in no table then.
TEST_P(Conservation, AFullMapStillBoundsTheTimeHeld) {
    Recorded recorded(GetParam(), "holder_entries = 64\n", /*kill_agent=*/false);
    const Attested &attested = recorded.attested();
    ASSERT_FALSE(attested.windows.empty());
    std::map<std::string, uint64_t> losses = attested.losses();
    EXPECT_GT(losses["holder map full"], 0U);
    for (const auto &[place, count] : losses)
        EXPECT_EQ(place, "holder map full") << count;

    Rules rules = recorded.rules();
    rules.has_room = false;
    Oracle oracle(recorded.history(), recorded.gaps(), rules);
    uint64_t from = rules.since_ns;
    uint64_t to = attested.end_ns();
    uint64_t sum = 0, sum_at_most = 0, sum_least = 0, sum_most = 0;
    for_each_pair([&](uint16_t cgroup, uint8_t device) {
        pb::Usage usage = attested.sum(recorded.key(cgroup, device));
        Bounds bounds = oracle.held(cgroup, device);
        uint64_t least = bounds.least.length(from, to);
        uint64_t most = bounds.most.length(from, to);
        uint64_t at_most = attested.held_at_most(recorded.key(cgroup, device));
        EXPECT_LE(usage.held_ns(), most) << seconds(usage.held_ns() - most) << " s too much";
        EXPECT_GE(at_most, least) << seconds(least - at_most) << " s more were held";
        expect_opens(rules, usage, oracle.opens(cgroup, device));
        EXPECT_EQ(usage.open_files(), 0U);
        sum += usage.held_ns();
        sum_at_most += at_most;
        sum_least += least;
        sum_most += most;
    });
    auto lossy = std::count_if(attested.windows.begin(), attested.windows.end(),
                               [](const AttestedWindow &window) { return !window.losses.empty(); });
    std::printf("%llu lost in %td of %zu windows; held %.3f to %.3f s, attested %.3f to %.3f s\n",
                static_cast<unsigned long long>(losses["holder map full"]), lossy,
                attested.windows.size(), seconds(sum_least), seconds(sum_most), seconds(sum),
                seconds(sum_at_most));
}

INSTANTIATE_TEST_SUITE_P(Rungs, Conservation, testing::ValuesIn(rungs()),
                         [](const auto &info) { return info.param; });

} // namespace
} // namespace tally
