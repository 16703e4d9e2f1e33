#include "audit/question.h"

#include "base/bytes.h"

#include <ctime>

namespace tally {

namespace {

constexpr uint64_t kSecond = 1'000'000'000;

// "" or ".5" to ".123456789", in nanoseconds.
std::optional<uint64_t> fraction(std::string_view text) {
    if (text.empty())
        return 0;
    if (text.front() != '.' || text.size() < 2 || text.size() > 10)
        return std::nullopt;
    uint64_t ns = 0;
    uint64_t unit = kSecond;
    for (char digit : text.substr(1)) {
        if (digit < '0' || digit > '9')
            return std::nullopt;
        unit /= 10;
        ns += static_cast<uint64_t>(digit - '0') * unit;
    }
    return ns;
}

} // namespace

Result<uint64_t> parse_time(const std::string &text) {
    Error wrong{"\"" + printable(text) +
                "\" is not a time: write 2026-11-23 or 2026-11-23T18:50:46Z (UTC)"};
    tm parts = {};
    const char *rest = strptime(text.c_str(), "%Y-%m-%d", &parts);
    if (rest == nullptr)
        return wrong;
    uint64_t ns = 0;
    if (*rest != '\0') {
        rest = strptime(rest, "T%H:%M:%S", &parts);
        if (rest == nullptr)
            return wrong;
        std::string_view end = rest;
        if (!end.ends_with('Z'))
            return wrong;
        end.remove_suffix(1);
        auto part = fraction(end);
        if (!part)
            return wrong;
        ns = *part;
    }
    time_t seconds = timegm(&parts);
    if (seconds < 0)
        return wrong;
    return static_cast<uint64_t>(seconds) * kSecond + ns;
}

bool Question::covers(const Entry &entry, const pb::Usage &usage) const {
    const pb::Workload &workload = entry.workload(usage);
    if (!tenant.empty() && workload.tenant() != tenant)
        return false;
    if (!parent.empty() && workload.parent() != parent)
        return false;
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
