// A rule: sees the verified statements of all hosts, each host's in the order of the log, and says
// what an auditor should look at. Its file's head says what it proves and what it does not.
#pragma once

#include "findings/coverage.h"
#include "findings/device_table.h"
#include "findings/finding.h"

#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace tally {

struct Limits {
    uint64_t gap_ns = 1'000'000'000;             // the longest that a restart may leave uncovered
    uint64_t scan_gap_ns = 5'000'000'000;        // the longest that nobody may look
    uint64_t clock_ns = 1'000'000'000;           // how far a wall clock may stray
    uint64_t silence_ns = 900'000'000'000;       // how long a host may say nothing
    uint64_t judged_from_ns = 3'600'000'000'000; // coverage of less time than this is not judged
    uint64_t coverage_permille = 990;
    std::set<std::string> known_devices = DeviceTable::shipped().ids(); // PCI ids
};

class Rule {
public:
    virtual ~Rule() = default;
    // A statement that is the first with its sequence, and the time that it shows to be uncovered.
    virtual void see(const Entry &, std::span<const Gap>, Found &) {}
    // One that is not, or comes late: it counts for no other rule.
    virtual void see_aside(const Entry &, Found &) {}
    // What shows if nothing more is seen; more may be.
    virtual void end(const Coverage &, Found &) const {}
};

using Rules = std::vector<std::unique_ptr<Rule>>;

// One file each, named like the rule (low_coverage.cc holds coverage_rule).
std::unique_ptr<Rule> gap_rule(const Limits &limits);
std::unique_ptr<Rule> fork_rule();
std::unique_ptr<Rule> replay_rule();
std::unique_ptr<Rule> order_rule();
std::unique_ptr<Rule> key_rule();
std::unique_ptr<Rule> overclaim_rule();
std::unique_ptr<Rule> not_conserved_rule();
std::unique_ptr<Rule> silence_rule(const Limits &limits);
std::unique_ptr<Rule> clock_rule(const Limits &limits);
std::unique_ptr<Rule> unattributed_rule();
std::unique_ptr<Rule> tenant_changed_rule();
std::unique_ptr<Rule> tamper_rule();
std::unique_ptr<Rule> event_rule();
std::unique_ptr<Rule> loss_rule();
std::unique_ptr<Rule> coverage_rule(const Limits &limits);
std::unique_ptr<Rule> scan_gap_rule(const Limits &limits);
std::unique_ptr<Rule> device_rebound_rule();
std::unique_ptr<Rule> device_vanished_rule();
std::unique_ptr<Rule> device_moved_rule();
std::unique_ptr<Rule> work_without_hold_rule();
std::unique_ptr<Rule> sources_disagree_rule();
std::unique_ptr<Rule> service_at_work_rule();
std::unique_ptr<Rule> unknown_device_rule(const Limits &limits);

} // namespace tally
