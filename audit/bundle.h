// `tally verify BUNDLE`: what `tally prove` wrote, checked without the log (attest/FORMATS.md,
// "Bundle").
#pragma once

#include "audit/usage.h"
#include "audit/walk.h"
#include "findings/finding.h"

#include <string>

namespace tally {

inline constexpr std::string_view kBundleMagic = "tallystick-bundle/v1\n";

// A message with its big-endian uint32 length before it.
Bytes framed(const std::string &message);

// Whether the file begins like a bundle.
bool is_bundle(const std::string &path);

struct BundleAccount {
    Checkpoint checkpoint;
    std::string log_keys;   // that the bundle was checked with
    std::string fleet_root; // PEM
    bool own_keys = false;  // they were the bundle's own
    Question question;      // that it answers
    uint64_t entries = 0;
    UsageSums usage;
    // Of findings that its attestations show, in the log's order; of each the last counts.
    struct Said {
        uint64_t index = 0; // of the explanation, in the log
        pb::FindingName name;
        Explained explained;
    };
    std::vector<Said> explanations;
};

// Empty keys or root: the bundle's own are believed, and said so.
Result<BundleAccount> check_bundle(const std::string &path, const std::string &log_keys,
                                   const std::string &fleet_root);

std::string bundle_text(const BundleAccount &account);

} // namespace tally
