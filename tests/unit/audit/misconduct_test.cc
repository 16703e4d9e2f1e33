// Planted misconduct: by a host, by the collector, by whoever holds the log. Each is found by its
// rule, and by no other.
#include "base/text.h"
#include "tests/unit/audit/rig.h"
#include "tests/unit/support/explainer.h"

namespace tally {

namespace {

constexpr uint64_t kSecond = TestHost::kSecond;

class Misconduct : public Audit {
protected:
    using Kinds = std::vector<std::string>;

    // An hour and more of honest windows, so that what is planted is the exception.
    void settle() {
        for (int i = 0; i < 12; i++) {
            say_long(gpu1);
            say_long(gpu2);
        }
    }
    // A window of six minutes.
    template <typename Change> void say_long(TestHost &host, Change change) {
        log.append(make_long(host, change));
    }
    template <typename Change> static Bytes make_long(TestHost &host, Change change) {
        pb::Statement statement = host.next();
        pb::Window &window = *statement.mutable_window();
        window.set_end_boottime_ns(window.begin_boottime_ns() + 360 * kSecond);
        window.set_end_wall_ns(window.begin_wall_ns() + 360 * kSecond);
        if (statement.has_inventory())
            statement.mutable_inventory()->mutable_devices(0)->set_uuid("GPU-of-" + host.name());
        change(statement);
        return host.attest(statement);
    }
    void say_long(TestHost &host) {
        say_long(host, [](pb::Statement &) {});
    }
    Kinds kinds() const {
        log.publish();
        Kinds kinds;
        for (const Finding &finding : account().findings) {
            kinds.push_back(finding.kind);
            last_ = finding.text;
            pb::Explanation explanation; // whatever is found can be explained
            *explanation.add_findings() = name_of(finding);
            explanation.set_why("planted");
            explanation.set_wall_ns(1);
            explanation.set_certificate("c");
            auto breach = check_explanation(explanation);
            EXPECT_FALSE(breach) << finding.kind << ": " << breach->reason;
        }
        return kinds;
    }
    mutable std::string last_; // text of the last finding

    // Plants it in an honest hour's midst.
    template <typename Change> Kinds planted(Change change) {
        settle();
        say_long(gpu1, change);
        say_long(gpu1);
        say_long(gpu2, [](pb::Statement &) {});
        say_long(gpu2);
        return kinds();
    }
    Kinds planted_event(pb::Event::Kind kind, const std::string &detail = "by pid 7 (x)") {
        return planted([&](pb::Statement &statement) {
            pb::Event &event = *statement.add_events();
            event.set_kind(kind);
            event.set_detail(detail);
        });
    }
};

// By the host.

TEST_F(Misconduct, NoneInAnHonestHour) {
    EXPECT_EQ(planted([](pb::Statement &) {}), Kinds{});
}
TEST_F(Misconduct, HeldLongerThanTheWindow) {
    EXPECT_EQ(planted([](pb::Statement &statement) {
                  statement.mutable_usage(0)->set_held_ns(361 * kSecond);
              }),
              Kinds{"overclaim"});
}
TEST_F(Misconduct, HeldWithoutAFile) {
    EXPECT_EQ(planted([](pb::Statement &statement) {
                  statement.mutable_usage(0)->clear_opens();
                  statement.mutable_usage(0)->clear_releases();
              }),
              Kinds{"overclaim"});
}
TEST_F(Misconduct, UseOfADeviceThatItDoesNotHave) {
    EXPECT_EQ(planted([](pb::Statement &statement) { statement.mutable_usage(0)->set_device(3); }),
              Kinds{"overclaim"});
}
void occupy(pb::Statement &statement, uint64_t seconds) {
    statement.add_occupancy()->set_occupied_ns(seconds * kSecond);
}
TEST_F(Misconduct, AHolderLeftOut) {
    EXPECT_EQ(planted([](pb::Statement &statement) {
                  occupy(statement, 200);
                  statement.clear_usage();
                  statement.clear_workloads();
              }),
              Kinds{"not-conserved"});
    EXPECT_EQ(last_, "node:/dev/test0 was occupied for 3 min 20 s, but held by nobody");
}
TEST_F(Misconduct, AHoldShortened) {
    EXPECT_EQ(planted([](pb::Statement &statement) { occupy(statement, 200); }),
              Kinds{"not-conserved"});
    EXPECT_EQ(last_, "node:/dev/test0 was occupied for 3 min 20 s, but held by all that are named "
                     "for 4.000 s");
}
TEST_F(Misconduct, AHoldMadeUp) {
    EXPECT_EQ(planted([](pb::Statement &statement) {
                  occupy(statement, 4);
                  statement.mutable_usage(0)->set_held_ns(300 * kSecond);
              }),
              Kinds{"not-conserved"});
    EXPECT_EQ(last_,
              "node:/dev/test0 was occupied for 4.000 s, but held by one workload for 5 min 00 s");
}
TEST_F(Misconduct, TheSameHoldShortenedTimeAndAgainIsOneFinding) {
    settle();
    for (int i = 0; i < 3; i++) {
        say_long(gpu1, [](pb::Statement &statement) { occupy(statement, 200); });
        say_long(gpu2);
    }
    EXPECT_EQ(kinds(), Kinds{"not-conserved"});
    EXPECT_TRUE(last_.ends_with(", in 3 statements")) << last_;
}
TEST_F(Misconduct, AnAgentThatDoesNotMeasureOccupancyIsNone) {
    EXPECT_EQ(planted([](pb::Statement &statement) {
                  statement.mutable_recording()->clear_tells_occupancy();
                  statement.mutable_usage(0)->set_held_ns(300 * kSecond);
              }),
              Kinds{});
}
TEST_F(Misconduct, OccupiedLongerThanTheWindow) {
    EXPECT_EQ(planted([](pb::Statement &statement) { occupy(statement, 361); }),
              Kinds{"overclaim"});
}
TEST_F(Misconduct, OccupancyOfADeviceThatItDoesNotHave) {
    EXPECT_EQ(planted([](pb::Statement &statement) {
                  occupy(statement, 4);
                  pb::Occupancy &other = *statement.add_occupancy();
                  other.set_device(3);
                  other.set_occupied_ns(kSecond);
              }),
              Kinds{"overclaim"});
}
TEST_F(Misconduct, ATimeToldTwice) {
    EXPECT_EQ(planted([](pb::Statement &statement) {
                  pb::Window &window = *statement.mutable_window();
                  window.set_begin_boottime_ns(window.begin_boottime_ns() - 60 * kSecond);
                  window.set_begin_wall_ns(window.begin_wall_ns() - 60 * kSecond);
              }),
              Kinds{"overclaim"});
}
TEST_F(Misconduct, ATimeLeftOut) {
    EXPECT_EQ(planted([](pb::Statement &statement) {
                  pb::Window &window = *statement.mutable_window();
                  window.set_begin_boottime_ns(window.begin_boottime_ns() + 5 * kSecond);
                  window.set_begin_wall_ns(window.begin_wall_ns() + 5 * kSecond);
              }),
              Kinds{"gap"});
}
TEST_F(Misconduct, RecordingPaused) {
    EXPECT_EQ(planted([](pb::Statement &statement) {
                  statement.mutable_recording()->set_since_boottime_ns(
                      statement.window().begin_boottime_ns() + 5 * kSecond);
              }),
              Kinds{"gap"});
}
TEST_F(Misconduct, ManyPausesTooShortForAGap) {
    for (int i = 0; i < 400; i++) {
        say_changed(gpu1, [](pb::Statement &statement) {
            statement.mutable_recording()->set_since_boottime_ns(
                statement.window().begin_boottime_ns() + kSecond / 2);
        });
    }
    EXPECT_EQ(kinds(), Kinds{"coverage"});
    EXPECT_TRUE(last_.starts_with("only 95.00 % of its time is covered")) << last_;
}
TEST_F(Misconduct, RebootedForAMinute) {
    settle();
    gpu1.reboot(30 * kSecond);
    say_long(gpu1);
    say_long(gpu2);
    EXPECT_EQ(kinds(), Kinds{"gap"});
}
TEST_F(Misconduct, ClockSetBack) {
    EXPECT_EQ(planted([](pb::Statement &statement) {
                  pb::Window &window = *statement.mutable_window();
                  window.set_begin_wall_ns(window.begin_wall_ns() - 300 * kSecond);
                  window.set_end_wall_ns(window.end_wall_ns() - 300 * kSecond);
              }),
              Kinds{"clock"});
}
TEST_F(Misconduct, ClockSetForward) {
    EXPECT_EQ(planted([](pb::Statement &statement) {
                  pb::Window &window = *statement.mutable_window();
                  window.set_end_wall_ns(window.end_wall_ns() + 300 * kSecond);
              }),
              Kinds{"clock"});
}
TEST_F(Misconduct, ClockDriftedInStepsTooSmallToSee) {
    settle();
    for (int i = 0; i < 4; i++) {
        say_long(gpu1, [](pb::Statement &statement) {
            pb::Window &window = *statement.mutable_window();
            window.set_end_wall_ns(window.end_wall_ns() - 2 * kSecond);
        });
        say_long(gpu2);
    }
    EXPECT_EQ(kinds(), Kinds{"clock"});
}
TEST_F(Misconduct, TheAgentSawItsClockSet) {
    EXPECT_EQ(planted_event(pb::Event::KIND_CLOCK_SET, "by -500000000 ns"), Kinds{"clock"});
}
TEST_F(Misconduct, EveryWayToBlindTheAgent) {
    settle();
    for (auto kind :
         {pb::Event::KIND_HOOK_LOST, pb::Event::KIND_PIN_REMOVED, pb::Event::KIND_FOREIGN_BPF,
          pb::Event::KIND_AGENT_SIGNALLED, pb::Event::KIND_AGENT_PAUSED,
          pb::Event::KIND_AGENT_TRACED, pb::Event::KIND_RESOURCE_MAPPED})
        say_long(gpu1, [&](pb::Statement &statement) { statement.add_events()->set_kind(kind); });
    for (int i = 0; i < 7; i++)
        say_long(gpu2);
    EXPECT_EQ(kinds(), Kinds(7, "tamper"));
}
TEST_F(Misconduct, TheSpoolWasDamaged) {
    EXPECT_EQ(planted_event(pb::Event::KIND_SPOOL_DAMAGED), Kinds{"event"});
}
TEST_F(Misconduct, UseThatNobodyAnswersFor) {
    EXPECT_EQ(
        planted([](pb::Statement &statement) { statement.mutable_workloads(0)->clear_tenant(); }),
        Kinds{"unattributed"});
}
TEST_F(Misconduct, LossesInTheKernel) {
    EXPECT_EQ(planted([](pb::Statement &statement) {
                  pb::Loss &loss = *statement.mutable_recording()->add_losses();
                  loss.set_place("holders full");
                  loss.set_count(3);
              }),
              Kinds{"loss"});
}
TEST_F(Misconduct, NobodyLookedOnARungThatOnlyLooks) {
    auto unwatched = [](pb::Rung rung) {
        return [rung](pb::Statement &statement) {
            statement.mutable_recording()->set_rung(rung);
            statement.mutable_recording()->set_longest_scan_gap_ns(60 * kSecond);
        };
    };
    settle();
    say_long(gpu1, unwatched(pb::RUNG_SCANNED));
    say_long(gpu2, unwatched(pb::RUNG_EXACT)); // sees without looking
    EXPECT_EQ(kinds(), Kinds{"scan"});
}
TEST_F(Misconduct, ADeviceVanished) {
    EXPECT_EQ(planted([](pb::Statement &statement) {
                  statement.clear_usage();
                  statement.mutable_inventory()->add_devices()->set_id("node:/dev/other");
              }),
              Kinds{"device"});
    EXPECT_EQ(last_, "node:/dev/test0 is in the inventory no more");
}
TEST_F(Misconduct, ADeviceBecameAnother) {
    EXPECT_EQ(planted([](pb::Statement &statement) {
                  pb::Device &device = *statement.mutable_inventory()->add_devices();
                  device.set_id(TestHost::kDevice);
                  device.set_uuid("GPU-another");
              }),
              Kinds{"device"});
}
// The test device is held in every statement.
std::function<void(pb::Statement &)> with_pci_id(const std::string &id) {
    return [id](pb::Statement &statement) {
        pb::Device &device = *statement.mutable_inventory()->add_devices();
        device.set_id(TestHost::kDevice);
        device.set_pci_id(id);
    };
}
TEST_F(Misconduct, AHeldDeviceIsInNoTable) {
    EXPECT_EQ(planted(with_pci_id("10de:ffff")), Kinds{"unknown-device"});
    EXPECT_TRUE(
        last_.starts_with("node:/dev/test0 was held, and the device table does not know its "
                          "PCI id 10de:ffff"))
        << last_;
}
TEST_F(Misconduct, OneOfTwoFunctionsBehindAGroupIsInNoTable) {
    EXPECT_EQ(planted(with_pci_id("10de:2330+dead:beef")), Kinds{"unknown-device"});
    EXPECT_NE(last_.find("PCI id dead:beef"), std::string::npos) << last_;
}
TEST_F(Misconduct, AHeldDeviceThatTheTableKnowsIsNoFinding) {
    EXPECT_EQ(planted(with_pci_id("10de:2330")), Kinds{});
}
TEST_F(Misconduct, ADriverWasUnboundFromADevice) {
    EXPECT_EQ(planted_event(pb::Event::KIND_DRIVER_UNBOUND), Kinds{"device"});
}
TEST_F(Misconduct, ADeviceMovedToAnotherHost) {
    EXPECT_EQ(planted([](pb::Statement &statement) {
                  pb::Device &device = *statement.mutable_inventory()->add_devices();
                  device.set_id(TestHost::kDevice);
                  device.set_index(0);
                  pb::Device &other = *statement.mutable_inventory()->add_devices();
                  other.set_index(1);
                  other.set_id("node:/dev/test1");
                  other.set_uuid("GPU-of-gpu2.example");
              }),
              Kinds{"device"});
    EXPECT_EQ(last_, "GPU-of-gpu2.example was on host gpu2.example before");
}
TEST_F(Misconduct, ADeviceHeldOnTwoHostsAtOnce) {
    auto hold = [](pb::Statement &statement) {
        if (statement.has_inventory())
            statement.mutable_inventory()->mutable_devices(0)->set_uuid("GPU-shared");
        statement.mutable_usage(0)->set_held_ns(250 * kSecond); // of 360 s, both
    };
    for (int i = 0; i < 2; i++) {
        say_long(gpu1, hold);
        say_long(gpu2, hold);
    }
    EXPECT_EQ(kinds(), Kinds{"overclaim"});
    EXPECT_TRUE(last_.starts_with("GPU-shared was held at once on host gpu1.example for")) << last_;
}
TEST_F(Misconduct, TwoHistoriesWereSigned) {
    settle();
    TestHost clone = keys.host("gpu1.example");
    say_long(clone);
    say_long(clone);
    EXPECT_EQ(kinds(), Kinds{"fork"});
}
TEST_F(Misconduct, AHostFellSilent) {
    settle();
    for (int i = 0; i < 4; i++)
        say_long(gpu2);
    EXPECT_EQ(kinds(), Kinds{"silence"});
    EXPECT_TRUE(last_.starts_with("nothing for ")) << last_;
}

// By the collector, or whoever holds the log and its keys.

TEST_F(Misconduct, AnAttestationWasWithheld) {
    settle();
    gpu1.attest(); // ten seconds that nobody logs
    say_long(gpu2);
    say_long(gpu1);
    say_long(gpu2);
    EXPECT_EQ(kinds(), Kinds{"gap"});
}
TEST_F(Misconduct, TheBeginningOfAChainWasWithheld) {
    TestHost clone = keys.host("gpu1.example");
    clone.attest(); // never logged
    pb::Statement second = clone.next();
    pb::Statement first = gpu1.next();
    *second.mutable_inventory() = first.inventory();
    second.set_certificate(first.certificate());
    log.append(clone.attest(second));
    EXPECT_EQ(kinds(), Kinds{"gap"});
    EXPECT_EQ(last_, "sequence 1 is not in the log");
}
TEST_F(Misconduct, AnAttestationWasAppendedAgain) {
    settle();
    log.append(log.entries()[5]);
    EXPECT_EQ(kinds(), Kinds{"replay"});
}
TEST_F(Misconduct, AnAttestationWasHeldBackForAWhile) {
    settle();
    Bytes held_back = gpu1.attest();
    say_long(gpu2);
    say_long(gpu1);
    log.append(held_back);
    say_long(gpu2);
    EXPECT_EQ(kinds(), (Kinds{"gap", "order"}));
}
TEST_F(Misconduct, AnEntryWasReplacedUnderTheOldRoot) {
    settle();
    log.publish();
    std::swap(log.entries()[3], log.entries()[5]);
    Bytes checkpoint = read_all(path("checkpoint"));
    log.publish();
    write_all(path("checkpoint"), checkpoint);
    EXPECT_NE(problem().find("its root is not that of the log's"), std::string::npos) << problem();
}
TEST_F(Misconduct, AnAttestationWasForged) {
    settle();
    TestKeys strangers({"gpu1.example"});
    pb::Statement statement = gpu1.next();
    log.append(strangers.host("gpu1.example").attest(statement));
    log.publish();
    EXPECT_NE(problem().find("signature is not the host's signing key's"), std::string::npos)
        << problem();
}

// By whoever would rather have it explained.

TEST_F(Misconduct, AHostExplainsWhatWasFoundOfIt) {
    settle();
    gpu1.attest(); // ten seconds that nobody logs
    say_long(gpu1);
    say_long(gpu2);
    uint64_t index = log.entries().size() - 2;
    log.append(Explainer(keys, "hosts/gpu1.example/signing")
                   .explain(finding_name("gap", index, log.entries()[index])));
    log.publish();
    EXPECT_NE(problem().find("an explanation: signer's certificate: is not for signing "
                             "explanations"),
              std::string::npos)
        << problem();
}
TEST_F(Misconduct, AnExplanationFromAnotherLog) {
    settle();
    Bytes elsewhere = keys.host("gpu1.example").attest();
    log.append(Explainer(keys).explain(finding_name("gap", 3, elsewhere)));
    EXPECT_EQ(kinds(), Kinds{"explanation"});
    EXPECT_EQ(last_, "explains gap@3 of gpu1.example, sequence 1: no such finding");
}
TEST_F(Misconduct, AWithdrawnExplanationIsAppendedAgain) {
    settle();
    gpu1.attest();
    say_long(gpu1);
    say_long(gpu2);
    uint64_t index = log.entries().size() - 2;
    Explainer auditor(keys);
    Bytes explanation = auditor.explain(finding_name("gap", index, log.entries()[index]));
    log.append(explanation);
    log.append(auditor.explain(finding_name("gap", index, log.entries()[index]), "no", true));
    log.append(explanation);
    EXPECT_EQ(kinds(), (Kinds{"gap", "replay"}));
    EXPECT_EQ(open_among(account().findings), 2U);
}

} // namespace

} // namespace tally
