#include "audit/question.h"

#include "base/text.h"
#include "findings/names.h"

#include <algorithm>

namespace tally {

bool Question::covers(const Entry &entry, const pb::Usage &usage) const {
    const pb::Workload &workload = entry.workload(usage);
    if (!tenant.empty() && workload.tenant() != tenant)
        return false;
    if (!parent.empty()) {
        std::vector<std::string> above = parties_above(workload);
        if (std::find(above.begin(), above.end(), parent) == above.end())
            return false;
    }
    if (!host.empty() && entry.statement().host() != host)
        return false;
    if (!device.empty() && entry.device_id(usage) != device) {
        const pb::Device *found = entry.device(usage);
        if (found == nullptr || found->uuid() != device)
            return false;
    }
    return is_in_time(entry.statement().window());
}

Result<Question> QuestionWords::parse() const {
    Question question = rest;
    for (auto [word, ns] : {std::pair(&from, &question.from_ns), std::pair(&to, &question.to_ns)}) {
        if (word->empty())
            continue;
        auto time = parse_time(*word);
        if (!time)
            return time.error();
        *ns = *time;
    }
    if (question.from_ns >= question.to_ns)
        return Error{"--from " + from + " is not before --to " + to};
    return question;
}

} // namespace tally
