// `tally verify --state FILE`: from one run to the next, so that a log that grows is not verified
// from its beginning each time. The file is the auditor's own, and believed: who can change it can
// make a run overlook what lies before its size.
//
// What is proved on going on: the tree whose root was verified then is the beginning of the tree
// whose root is signed now; the hosts' chains go on where they stood. Findings are kept and
// repeated. A rule that counts over many statements begins to count anew, as a finding of its own.
#pragma once

#include "audit/state.pb.h"
#include "audit/walk.h"
#include "findings/examiner.h"

#include <map>
#include <optional>
#include <string>

namespace tally {

// Nothing if there is no file. An error if it is damaged, or of another version.
Result<std::optional<pb::VerifyState>> load_state(const std::string &path);
Status save_state(const std::string &path, const pb::VerifyState &state);

// Gathers the next state while a log is walked.
class StateKeeper {
public:
    explicit StateKeeper(const pb::VerifyState *before);
    void see(const Entry &entry);
    // `counts` as Examiner::add has it.
    void see(const ExplanationEntry &entry, const std::vector<uint32_t> &counts);
    pb::VerifyState finish(const Verified &verified, const Coverage &coverage,
                           const std::vector<Finding> &findings) const;

private:
    std::map<std::string, pb::HostState> hosts_;
    std::vector<pb::ExplanationState> explanations_;
};

// Gives rules and coverage what they knew when `before` was written. An error if it holds what is
// no explanation.
Status restore(Examiner &examiner, const pb::VerifyState &before);

} // namespace tally
