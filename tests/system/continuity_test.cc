// No hole across a restart: what the kernel counts while no agent runs is attested by the next one,
// whichever way the last one went, and also if the next one cannot use the maps as they are.
#include "tests/system/lab.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tally {
namespace {

namespace fs = std::filesystem;

constexpr const char *kStandIn = "[[device]]\nname = \"stand-in\"\nnode = \"/dev/full\"\n";
constexpr double kTolerance = 1.3; // seconds: one scan, and a little

class Continuity : public testing::Test {
protected:
    void begin(const std::vector<std::string> &options = {}) {
        directory_ = lab_.cgroup("steady");
        lab_.start_collector();
        lab_.start_agent(options);
        tenant_ = std::make_unique<TenantProcess>(directory_, [](Deed &deed) {
            open("/dev/full", O_RDONLY);
            deed.begin_ns = boottime_ns();
            pause();
        });
        sleep_ms(2500);
    }
    // Also looks at the log: `tally verify` must find no gap, and the hold at its full length.
    void end() {
        uint64_t released = boottime_ns();
        tenant_->kill_now();
        sleep_ms(1500);
        lab_.stop_all();
        verified_ = lab_.tally({"verify", lab_.log()});
        EXPECT_LE(verified_.status, 1) << verified_.output;
        EXPECT_NE(verified_.output.find("coverage 100.00 %"), std::string::npos)
            << verified_.output;
        double held = static_cast<double>(released - tenant_->deed().begin_ns) / 1e9;
        auto row = tenants_row();
        EXPECT_NEAR(std::stod(row["held_seconds"]), held, kTolerance);
        EXPECT_EQ(std::stoul(row["opens"]) + std::stoul(row["found"]), 1U); // by rung
        EXPECT_EQ(row["releases"], "1");
    }
    std::map<std::string, std::string> tenants_row() const {
        for (const auto &[name, row] : lab_.report()) {
            if (row.at("cgroup").ends_with("/steady"))
                return row;
        }
        ADD_FAILURE() << "no row for the tenant";
        return {{"held_seconds", "-1"}, {"opens", "0"}, {"found", "0"}};
    }
    static fs::path only_set(const fs::path &pins, const std::string &kind) {
        for (const auto &entry : fs::directory_iterator(pins)) {
            if (entry.path().filename().string().starts_with(kind))
                return entry.path();
        }
        return {};
    }

    Lab lab_;
    std::string directory_;
    std::unique_ptr<TenantProcess> tenant_;
    Outcome verified_;
};

TEST_F(Continuity, AfterSigkill) {
    begin();
    lab_.agent().stop(SIGKILL);
    sleep_ms(2000);
    lab_.start_agent();
    EXPECT_NE(lab_.agent().output().find("taken up from an earlier agent"), std::string::npos)
        << lab_.agent().output();
    sleep_ms(1500);
    end();
}

TEST_F(Continuity, AfterSigtermAndManyRestarts) {
    begin();
    for (int round = 0; round < 5; round++) {
        EXPECT_EQ(lab_.agent().stop(SIGTERM), 0) << lab_.agent().output();
        sleep_ms(300);
        lab_.start_agent();
        sleep_ms(static_cast<unsigned>(100 + 300 * round));
    }
    end();
}

TEST_F(Continuity, HooksAreReplacedOverTheSameMaps) {
    begin({"--hooks=scanned"});
    lab_.agent().stop(SIGKILL);
    fs::path hooks = only_set(lab_.pins(), "hooks-scanned-scanned-");
    EXPECT_FALSE(hooks.empty());
    lab_.start_agent({"--hooks=traced"});
    EXPECT_NE(lab_.agent().output().find("on rung traced, taken up"), std::string::npos)
        << lab_.agent().output();
    EXPECT_FALSE(fs::exists(hooks));
    EXPECT_FALSE(only_set(lab_.pins(), "hooks-traced-traced-").empty());
    sleep_ms(1500);
    end();
    // Each window says on which rung it was recorded; none is half and half.
    Outcome report = lab_.tally({"report", lab_.log()});
    EXPECT_NE(report.output.find("recorded on rung scanned"), std::string::npos) << report.output;
    EXPECT_NE(report.output.find("recorded on rung traced"), std::string::npos) << report.output;
}

TEST_F(Continuity, OtherCapacitiesTakeTheTotalsOver) {
    begin();
    lab_.agent().stop(SIGKILL);
    sleep_ms(1000);
    std::string config = lab_.agent_config(kStandIn);
    config.insert(config.find("pins = "), "usage_entries = 64\n");
    lab_.write("tallyd.toml", config);
    lab_.start_agent();
    EXPECT_NE(lab_.agent().output().find("handed over "), std::string::npos)
        << lab_.agent().output();
    sleep_ms(1500);
    end(); // once: not again in the new maps
}

// Another layout altogether: members in another order and of another size, one unknown to us.
struct OtherKey {
    uint64_t workload;
    uint32_t zone;
    uint32_t device;
};
struct OtherUsage {
    uint32_t open_files;
    uint32_t colour;
    uint64_t opens;
    uint64_t held_ns;
    uint64_t releases;
};

int create_other_usage() {
    btf *types = btf__new_empty();
    int u64 = btf__add_int(types, "unsigned long long", 8, 0);
    int u32 = btf__add_int(types, "unsigned int", 4, 0);
    int key = btf__add_struct(types, "other_key", sizeof(OtherKey));
    btf__add_field(types, "workload", u64, 0, 0);
    btf__add_field(types, "zone", u32, 64, 0);
    btf__add_field(types, "device", u32, 96, 0);
    int value = btf__add_struct(types, "other_usage", sizeof(OtherUsage));
    btf__add_field(types, "open_files", u32, 0, 0);
    btf__add_field(types, "colour", u32, 32, 0);
    btf__add_field(types, "opens", u64, 64, 0);
    btf__add_field(types, "held_ns", u64, 128, 0);
    btf__add_field(types, "releases", u64, 192, 0);
    EXPECT_EQ(btf__load_into_kernel(types), 0);
    LIBBPF_OPTS(bpf_map_create_opts, options, .btf_fd = static_cast<uint32_t>(btf__fd(types)),
                .btf_key_type_id = static_cast<uint32_t>(key),
                .btf_value_type_id = static_cast<uint32_t>(value));
    int map = bpf_map_create(BPF_MAP_TYPE_HASH, "usage", sizeof(OtherKey), sizeof(OtherUsage), 16,
                             &options);
    btf__free(types);
    return map;
}

TEST_F(Continuity, AnotherVersionsLayoutIsReadByItsNames) {
    directory_ = lab_.cgroup("steady");
    lab_.start_collector();
    lab_.start_agent();
    sleep_ms(1500);
    EXPECT_EQ(lab_.agent().stop(SIGTERM), 0) << lab_.agent().output();
    Outcome unloaded =
        run({Lab::program("tallyd"), "--config", lab_.path("tallyd.toml"), "--unload"});
    ASSERT_EQ(unloaded.status, 0) << unloaded.output;

    // As if the agent so far had been of another version, and seen 12 opens since it stopped: the
    // hold has just begun, and is still on.
    struct stat cgroup = {};
    ASSERT_EQ(stat(directory_.c_str(), &cgroup), 0);
    Fd map(create_other_usage());
    ASSERT_TRUE(map);
    OtherKey key = {cgroup.st_ino, 0, 0};
    uint64_t begun = boottime_ns();
    OtherUsage usage = {1, 7, 12, 0 - begun, 11};
    ASSERT_EQ(bpf_map_update_elem(map.get(), &key, &usage, BPF_ANY), 0);
    fs::create_directories(lab_.pins() + "/maps-v0-16-16");
    ASSERT_EQ(bpf_obj_pin(map.get(), (lab_.pins() + "/maps-v0-16-16/usage").c_str()), 0);

    lab_.start_agent();
    double handed_over_within = static_cast<double>(boottime_ns() - begun) / 1e9;
    EXPECT_NE(lab_.agent().output().find("handed over "), std::string::npos)
        << lab_.agent().output();
    EXPECT_TRUE(only_set(lab_.pins(), "maps-v0").empty());
    sleep_ms(1500);
    lab_.stop_all();
    auto row = tenants_row();
    EXPECT_EQ(row["opens"], "12");
    EXPECT_EQ(row["releases"], "11");
    EXPECT_GT(std::stod(row["held_seconds"]), 0.0);
    EXPECT_LT(std::stod(row["held_seconds"]), handed_over_within);
}

TEST_F(Continuity, UnloadLeavesNothingAndIsNoErrorTwice) {
    lab_.start_agent();
    EXPECT_TRUE(fs::exists(lab_.pins()));
    std::vector<std::string> unload = {Lab::program("tallyd"), "--config", lab_.path("tallyd.toml"),
                                       "--unload"};
    Outcome busy = run(unload);
    EXPECT_EQ(busy.status, 3);
    EXPECT_NE(busy.output.find("another tallyd has it"), std::string::npos) << busy.output;
    EXPECT_EQ(lab_.agent().stop(SIGTERM), 0);
    EXPECT_TRUE(fs::exists(lab_.pins())); // recording goes on
    for (int i = 0; i < 2; i++) {
        Outcome unloaded = run(unload);
        EXPECT_EQ(unloaded.status, 0) << unloaded.output;
        EXPECT_FALSE(fs::exists(lab_.pins()));
    }
}

} // namespace
} // namespace tally
