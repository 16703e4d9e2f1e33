// A crash between any two steps of cutting a window: the chain is completed, and the baseline says
// what it accounts for.
#include "agent/statement/chain.h"
#include "base/durable.h"
#include "tests/unit/agent/pki.h"
#include "tests/unit/agent/scratch.h"

#include <filesystem>
#include <gtest/gtest.h>

namespace tally {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kSpoolBytes = 1 << 20;

class Chains : public testing::Test {
protected:
    Chains() {
        PemIdentity host = make_leaf(make_ca("fleet"), "h1.example");
        std::ofstream(scratch_ / "key") << host.key;
        std::ofstream(scratch_ / "certificate") << host.certificate;
    }

    std::unique_ptr<Chain> open(const std::string &state, char boot = 'b') {
        auto signer = Signer::load(scratch_ / "key", scratch_ / "certificate", "h1.example",
                                   std::string(16, boot));
        EXPECT_TRUE(signer) << signer.error().message;
        auto chain = Chain::open(scratch_ / state, kSpoolBytes, std::move(*signer));
        EXPECT_TRUE(chain) << chain.error().message;
        return chain ? std::move(*chain) : nullptr;
    }

    // The window number `window`, in so many parts.
    static std::vector<pb::Statement> statements(uint64_t window, uint32_t parts) {
        std::vector<pb::Statement> all(parts);
        for (uint32_t part = 0; part < parts; part++) {
            pb::Statement &statement = all[part];
            statement.mutable_window()->set_begin_boottime_ns(window * 10);
            statement.mutable_window()->set_end_boottime_ns(window * 10 + 10);
            statement.mutable_recording()->set_rung(pb::RUNG_SCANNED);
            statement.mutable_recording()->set_since_boottime_ns(1);
            statement.set_part(part);
            statement.set_parts(parts);
            statement.add_workloads()->set_cgroup_id(42);
            pb::Usage &usage = *statement.add_usage();
            usage.set_device(3);
            usage.set_opens(1);
            if (window != 1)
                continue;
            pb::Device &device = *statement.mutable_inventory()->add_devices();
            device.set_index(3);
            device.set_id("node:x");
        }
        return all;
    }
    static pb::Baseline after(uint64_t window) {
        Snapshot snapshot{.at = {window * 10 + 10, 7}};
        snapshot.usage[{42, 3}] = {window * 100, window, 1, 2, 1, 5};
        snapshot.losses["somewhere"] = window;
        pb::Baseline baseline;
        put_totals(baseline, snapshot);
        baseline.add_devices()->set_index(3);
        return baseline;
    }
    // A state directory with the baseline of `from` and the first `count` records of its spool.
    void crash(const std::string &from, const std::string &to, uint64_t count) {
        fs::create_directories(scratch_ / to);
        fs::copy(scratch_ / (from + "/baseline"), scratch_ / (to + "/baseline"));
        auto whole = Spool::open(scratch_ / (from + "/spool"), kSpoolBytes);
        auto cut = Spool::open(scratch_ / (to + "/spool"), kSpoolBytes);
        for (uint64_t sequence = 1; sequence <= count; sequence++)
            ASSERT_TRUE(cut->append(sequence, *whole->read(sequence)));
    }

    Scratch scratch_;
};

TEST_F(Chains, TotalsComeBackAsTheyWere) {
    Snapshot snapshot = totals_of(after(3));
    EXPECT_EQ(snapshot.at.boottime_ns, 40U);
    EXPECT_EQ(snapshot.at.wall_ns, 7U);
    EXPECT_EQ(snapshot.usage.at({42, 3}), (UsageTotals{300, 3, 1, 2, 1, 5}));
    EXPECT_EQ(snapshot.losses.at("somewhere"), 3U);
}

TEST_F(Chains, AWindowCutShortIsCompleted) {
    {
        auto chain = open("whole");
        EXPECT_FALSE(chain->baseline());
        ASSERT_TRUE(chain->append(statements(1, 1), after(1)));
        ASSERT_TRUE(chain->append(statements(2, 3), after(2)));
        EXPECT_EQ(chain->head().sequence, 4U);
    }
    for (uint64_t kept = 1; kept <= 4; kept++) {
        std::string state = "cut" + std::to_string(kept);
        crash("whole", state, kept);
        auto chain = open(state);
        EXPECT_EQ(chain->head().sequence, 4U) << kept;
        EXPECT_EQ(chain->head().part, 2U) << kept;
        ASSERT_TRUE(chain->baseline()) << kept;
        EXPECT_EQ(totals_of(*chain->baseline()).usage.at({42, 3}).held_ns, 200U);
        ASSERT_TRUE(chain->append(statements(3, 1), after(3))) << kept;
    }
}

TEST_F(Chains, ABaselineOfAnotherBootOrChainIsNoBaseline) {
    {
        auto chain = open("whole");
        ASSERT_TRUE(chain->append(statements(1, 1), after(1)));
        ASSERT_TRUE(chain->append(statements(2, 1), after(2)));
        ASSERT_TRUE(chain->append(statements(3, 1), after(3)));
    }
    EXPECT_TRUE(open("whole")->baseline());
    EXPECT_FALSE(open("whole", 'c')->baseline());
    crash("whole", "lost", 1); // statement 2 is gone: 3 cannot be completed
    EXPECT_FALSE(open("lost")->baseline());
    EXPECT_EQ(open("lost")->head().sequence, 1U);
}

TEST_F(Chains, ADamagedBaselineIsNoBaseline) {
    {
        auto chain = open("whole");
        ASSERT_TRUE(chain->append(statements(1, 1), after(1)));
    }
    Bytes good = slurp(scratch_ / "whole/baseline");
    for (size_t length = 0; length < good.size(); length++) {
        spill(scratch_ / "whole/baseline", ByteView(good).first(length));
        auto chain = open("whole"); // whatever it takes it for, the chain is sound
        ASSERT_NE(chain, nullptr);
        EXPECT_EQ(chain->head().sequence, 1U);
    }
    spill(scratch_ / "whole/baseline", view("no protobuf at all"));
    EXPECT_FALSE(open("whole")->baseline());
}

} // namespace
} // namespace tally
