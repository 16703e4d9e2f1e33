// One test per rule of evidence: the statement that breaks it, and the refusal it gets.
#include "attest/rules.h"
#include "tests/unit/support/keys.h"

#include <functional>
#include <gtest/gtest.h>

namespace tally {
namespace {

class Rules : public testing::Test {
protected:
    Rules() : host_(keys_.host("gpu1.example")) {}

    using Change = std::function<void(pb::Statement &)>;

    // The next statement, changed: what the statement's own rules say of it.
    std::optional<Breach> alone(const Change &change) const {
        pb::Statement statement = host_.next();
        change(statement);
        return check_statement(statement);
    }
    // ... and what the chain says, after `steps` good ones.
    std::optional<Breach> after(int steps, const Change &change) {
        for (int i = 0; i < steps; i++)
            step();
        pb::Statement statement = host_.next();
        change(statement);
        EXPECT_FALSE(check_statement(statement)) << check_statement(statement)->reason;
        return check_follows(head_, statement);
    }
    void step() {
        pb::Statement statement = host_.next();
        EXPECT_FALSE(check_statement(statement));
        EXPECT_FALSE(check_follows(head_, statement));
        Bytes attestation = host_.attest(statement);
        advance(head_, statement, sha256(attestation));
    }
    static void expect(const std::optional<Breach> &breach, pb::Refusal::Code code,
                       const std::string &says) {
        ASSERT_TRUE(breach) << "no breach: " << says;
        EXPECT_EQ(pb::Refusal::Code_Name(breach->code), pb::Refusal::Code_Name(code));
        EXPECT_NE(breach->reason.find(says), std::string::npos) << breach->reason;
    }

    TestKeys keys_;
    TestHost host_;
    ChainHead head_;
};

constexpr auto kMalformed = pb::Refusal::CODE_MALFORMED;
constexpr auto kImpossible = pb::Refusal::CODE_IMPOSSIBLE;
constexpr auto kBroken = pb::Refusal::CODE_BROKEN_CHAIN;

TEST_F(Rules, AnHonestChainHasNoBreach) {
    for (int i = 0; i < 20; i++)
        step();
    host_.reboot(3600 * TestHost::kSecond);
    for (int i = 0; i < 20; i++)
        step();
    EXPECT_EQ(head_.sequence, 40U);
}

TEST_F(Rules, TheHeaderIsComplete) {
    expect(alone([](auto &s) { s.clear_host(); }), kMalformed, "host");
    expect(alone([](auto &s) { s.set_host("a\nb"); }), kMalformed, "host");
    expect(alone([](auto &s) { s.set_host(std::string(254, 'h')); }), kMalformed, "host");
    expect(alone([](auto &s) { s.set_boot_id("short"); }), kMalformed, "boot id");
    expect(alone([](auto &s) { s.set_sequence(0); }), kMalformed, "sequence");
    expect(alone([](auto &s) { s.set_previous(std::string(32, 'p')); }), kMalformed, "previous");
    expect(alone([](auto &s) { s.set_sequence(2); }), kMalformed, "previous");
    expect(alone([](auto &s) { s.set_part(1); }), kMalformed, "part 1 of 1");
    expect(alone([](auto &s) { s.set_parts(0); }), kMalformed, "part 0 of 0");
}

TEST_F(Rules, AServiceIsNoTenants) {
    auto service = [](auto &s) {
        s.mutable_workloads(0)->clear_tenant();
        s.mutable_workloads(0)->set_service("dcgm");
    };
    EXPECT_FALSE(alone(service));
    expect(alone([](auto &s) { s.mutable_workloads(0)->set_service("dcgm"); }), kMalformed,
           "a service of the host's and a tenant's");
    expect(alone([&](auto &s) {
               service(s);
               s.mutable_workloads(0)->set_parent("reseller");
           }),
           kMalformed, "a service of the host's and a tenant's");
    expect(alone([](auto &s) { s.mutable_workloads(0)->set_tenant("service:dcgm"); }), kMalformed,
           "called as a service");
}

TEST_F(Rules, TheWindowRunsForward) {
    expect(alone([](auto &s) {
               s.mutable_window()->set_end_boottime_ns(s.window().begin_boottime_ns());
           }),
           kImpossible, "ends before it begins");
    // A wall clock that was set back is evidence, not a breach.
    EXPECT_FALSE(alone([](auto &s) { s.mutable_window()->set_end_wall_ns(1); }));
}

TEST_F(Rules, TheRecordingSaysHowAndSinceWhen) {
    expect(alone([](auto &s) { s.mutable_recording()->clear_rung(); }), kMalformed, "rung");
    expect(alone([](auto &s) { s.mutable_recording()->set_rung(static_cast<pb::Rung>(99)); }),
           kMalformed, "rung");
    expect(alone([](auto &s) { s.mutable_recording()->clear_since_boottime_ns(); }), kImpossible,
           "recording began");
    expect(alone([](auto &s) {
               s.mutable_recording()->set_since_boottime_ns(s.window().end_boottime_ns() + 1);
           }),
           kImpossible, "recording began");
}

TEST_F(Rules, HeldIsAtMostTheWindow) {
    uint64_t length = TestHost::kWindow;
    EXPECT_FALSE(alone([=](auto &s) { s.mutable_usage(0)->set_held_ns(length); }));
    expect(alone([=](auto &s) { s.mutable_usage(0)->set_held_ns(length + 1); }), kImpossible,
           "held " + std::to_string(length + 1) + " ns");
    expect(alone([](auto &s) {
               pb::Usage &usage = *s.mutable_usage(0);
               usage.clear_opens();
               usage.clear_found();
               usage.clear_releases();
               usage.clear_open_files();
           }),
           kImpossible, "without a file");
}

TEST_F(Rules, OccupancyIsToldOncePerDeviceAndAtMostTheWindow) {
    auto occupied = [](uint64_t ns, uint64_t late_ns = 0) {
        return [=](pb::Statement &s) {
            s.add_occupancy()->set_occupied_ns(ns);
            s.mutable_occupancy(0)->set_late_ns(late_ns);
        };
    };
    uint64_t length = TestHost::kWindow;
    EXPECT_FALSE(alone(occupied(length, length)));
    expect(alone(occupied(length + 1)), kImpossible,
           std::to_string(length + 1) + " ns in a window");
    expect(alone(occupied(5, 6)), kImpossible, "of 5 ns 6 ns are nobody's");
    expect(alone([](auto &s) {
               s.add_occupancy();
               s.add_occupancy();
           }),
           kMalformed, "occupancy of device 0: two rows");
    expect(alone([](auto &s) {
               s.add_occupancy();
               s.mutable_recording()->clear_tells_occupancy();
           }),
           kMalformed, "does not measure it");
    expect(after(0, [](auto &s) { s.add_occupancy()->set_device(5); }), kImpossible,
           "occupancy of device 5");
}

TEST_F(Rules, UsageNamesAWorkloadOnce) {
    expect(alone([](auto &s) { s.mutable_usage(0)->set_workload(7); }), kMalformed,
           "no such workload");
    expect(alone([](auto &s) { *s.add_usage() = s.usage(0); }), kMalformed, "two rows");
}

TEST_F(Rules, TheInventoryIsUnambiguous) {
    expect(alone([](auto &s) { *s.mutable_inventory()->add_devices() = s.inventory().devices(0); }),
           kMalformed, "two devices");
    expect(alone([](auto &s) { s.mutable_inventory()->mutable_devices(0)->clear_id(); }),
           kMalformed, "no id");
}

TEST_F(Rules, UsageNamesAKnownDevice) {
    expect(after(0, [](auto &s) { s.mutable_usage(0)->set_device(5); }), kImpossible, "device 5");
    expect(after(3, [](auto &s) { s.mutable_usage(0)->set_device(5); }), kImpossible, "device 5");
}

TEST_F(Rules, SequencesHaveNoGapAndNoReturn) {
    expect(after(5, [](auto &s) { s.set_sequence(5); }), pb::Refusal::CODE_REPLAYED,
           "sequence 5 is in the log already (last is 5)");
    expect(after(0, [](auto &s) { s.set_sequence(8); }), pb::Refusal::CODE_SKIPPED, "2 missing");
}

TEST_F(Rules, AChainStartsAtOne) {
    pb::Statement statement = host_.next();
    statement.set_sequence(2);
    statement.set_previous(std::string(32, 'x'));
    expect(check_follows(head_, statement), pb::Refusal::CODE_SKIPPED, "sequence 2 follows 0");
}

TEST_F(Rules, PreviousNamesTheBytesBefore) {
    expect(after(2, [](auto &s) { s.set_previous(std::string(32, 'x')); }), kBroken,
           "previous is not");
}

TEST_F(Rules, AChainIsOfOneHost) {
    expect(after(1, [](auto &s) { s.set_host("gpu2.example"); }), pb::Refusal::CODE_WRONG_HOST,
           "gpu2.example");
}

TEST_F(Rules, WindowsTileWithinABoot) {
    auto shift = [](int64_t by) {
        return [by](pb::Statement &s) {
            s.mutable_window()->set_begin_boottime_ns(s.window().begin_boottime_ns() +
                                                      static_cast<uint64_t>(by));
        };
    };
    expect(after(2, shift(1)), kBroken, "window begins at");
    expect(after(0, shift(-1)), kBroken, "window begins at");
}

TEST_F(Rules, ANewBootMayBeginAnywhereButBringsTheInventory) {
    step();
    host_.reboot();
    EXPECT_FALSE(after(0, [](auto &) {}));
    expect(after(0, [](auto &s) { s.clear_inventory(); }), kBroken, "inventory");
}

TEST_F(Rules, PartsOfAWindowFollowEachOther) {
    step();
    auto as_part = [](uint32_t part, uint32_t parts) {
        return [=](pb::Statement &s) {
            s.set_part(part);
            s.set_parts(parts);
        };
    };
    expect(after(0, as_part(1, 2)), kBroken, "without the parts before it");
    pb::Statement first = host_.next();
    as_part(0, 3)(first);
    ASSERT_FALSE(check_follows(head_, first));
    Digest digest = sha256(host_.attest(first));
    advance(head_, first, digest);

    auto same_window = [&](uint32_t part, uint32_t parts) {
        pb::Statement next = first;
        next.set_sequence(first.sequence() + 1);
        next.set_previous(digest.data(), digest.size());
        as_part(part, parts)(next);
        return next;
    };
    EXPECT_FALSE(check_follows(head_, same_window(1, 3)));
    expect(check_follows(head_, same_window(2, 3)), kBroken, "part 1 of 3");
    expect(check_follows(head_, same_window(1, 2)), kBroken, "part 1 of 3");
    pb::Statement longer = same_window(1, 3);
    longer.mutable_window()->set_end_boottime_ns(longer.window().end_boottime_ns() + 1);
    expect(check_follows(head_, longer), kBroken, "of the same window");
    expect(after(0, as_part(0, 1)), kBroken, "of the same window");
}

} // namespace
} // namespace tally
