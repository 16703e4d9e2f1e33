#include "audit/question.h"

#include "attest/parties.h"
#include "base/text.h"
#include "findings/names.h"

#include <algorithm>

namespace tally {

bool Question::covers(const Entry &entry, const pb::Workload *workload,
                      std::optional<uint32_t> index) const {
    if (!tenant.empty() && (workload == nullptr || party_of(*workload) != tenant))
        return false;
    if (!parent.empty()) {
        if (workload == nullptr)
            return false;
        std::vector<std::string> above = parties_above(*workload);
        if (std::find(above.begin(), above.end(), parent) == above.end())
            return false;
    }
    if (!host.empty() && entry.statement().host() != host)
        return false;
    if (!device.empty() && !index)
        return false;
    if (!device.empty() && entry.device_id(*index) != device) {
        const pb::Device *found = entry.device(*index);
        if (found == nullptr || found->uuid() != device)
            return false;
    }
    return is_in_time(entry.statement().window());
}

bool Question::covers(const Entry &entry, const pb::Work &work) const {
    const pb::Workload *workload =
        work.has_workload() ? &entry.statement().workloads(static_cast<int>(work.workload()))
                            : nullptr;
    return covers(entry, workload, work.has_device() ? std::optional(work.device()) : std::nullopt);
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
