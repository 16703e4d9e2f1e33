#include "findings/explanations.h"

namespace tally {

std::optional<uint64_t> Explanations::earlier(const OpenedExplanation &said) const {
    auto found = signed_.find(said.signed_digest);
    return found == signed_.end() ? std::nullopt : std::optional(found->second);
}

void Explanations::add(uint64_t index, const OpenedExplanation &said,
                       const std::vector<uint32_t> &counts) {
    const pb::Explanation &explanation = said.explanation;
    signed_.emplace(said.signed_digest, index);
    for (uint32_t position : counts) {
        const pb::FindingName &name = explanation.findings(static_cast<int>(position));
        named_by_[{name.log_index(), name.kind(), name.nth()}].push_back(index);
    }
    if (!counts.empty())
        said_[index] = explained_by(said);
}

void Explanations::apply(Finding &finding) const {
    auto named = named_by_.find({finding.index, finding.kind, finding.nth});
    if (named == named_by_.end())
        return;
    finding.explanations = named->second;
    finding.last = said_.at(named->second.back());
}

} // namespace tally
