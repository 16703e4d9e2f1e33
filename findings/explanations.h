// What has been said about findings: which explanations count, and what of them is to be looked at
// itself.
//
// An explanation counts for a finding that the rules know where it stands in the log, as if the log
// ended there; nobody can explain beforehand. All are kept, the last in the log counts. One that
// names no finding is a finding ("explanation"), one that was logged before is a "replay" and
// counts for nothing: else whoever holds the log could bring back what was withdrawn.
#pragma once

#include "attest/explain.h"
#include "findings/finding.h"

#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

namespace tally {

class Explanations {
public:
    // Where the same was said first, if it was.
    std::optional<uint64_t> earlier(const OpenedExplanation &said) const;
    // The next one of the log. `counts`: positions of those of its findings that the rules know.
    void add(uint64_t index, const OpenedExplanation &said, const std::vector<uint32_t> &counts);
    void apply(Finding &finding) const;

private:
    using Key = std::tuple<uint64_t, std::string, uint32_t>; // log index, kind, nth

    std::map<Key, std::vector<uint64_t>> named_by_;
    std::map<uint64_t, Explained> said_; // by log index
    std::map<Digest, uint64_t> signed_;  // OpenedExplanation::signed_digest
};

} // namespace tally
