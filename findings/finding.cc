#include "findings/finding.h"

#include "base/text.h"
#include "findings/names.h"

#include <algorithm>

namespace tally {

namespace {

constexpr uint64_t kKept = 1000; // of one host and kind

constexpr uint32_t kLastingNumbers = 100'000; // from here on; none is ever counted so far

std::string event_line(const std::string &subject, const Found::Repeated &repeated) {
    std::string text = subject;
    size_t pid = repeated.by_others ? text.find(repeated.pid) : std::string::npos;
    if (pid != std::string::npos)
        text.insert(pid + repeated.pid.size(), " and others");
    return text + in_statements(repeated);
}

} // namespace

std::string id_of(const std::string &kind, uint64_t index, uint32_t nth) {
    std::string id = kind + "@" + std::to_string(index);
    return nth > 1 ? id + "." + std::to_string(nth) : id;
}

Explained explained_by(const OpenedExplanation &opened) {
    const pb::Explanation &said = opened.explanation;
    return {opened.who, said.wall_ns(), said.why(), said.reference(), said.withdrawn()};
}

std::string in_words(const Explained &explained) {
    return std::string(explained.withdrawn ? "explanation withdrawn" : "explained") + " by " +
           explained.who + ", " + utc_time(explained.wall_ns) + ": " + explained.why +
           (explained.reference.empty() ? "" : " (" + explained.reference + ")");
}

pb::FindingName name_of(const Finding &finding) {
    pb::FindingName name;
    name.set_kind(finding.kind);
    name.set_nth(finding.nth);
    name.set_log_index(finding.index);
    name.set_entry(finding.digest.data(), finding.digest.size());
    name.set_host(finding.host);
    name.set_sequence(finding.sequence);
    return name;
}

bool has_name(const Finding &finding, const pb::FindingName &name) {
    return finding.index == name.log_index() && finding.kind == name.kind() &&
           finding.nth == name.nth() && finding.host == name.host() &&
           finding.sequence == name.sequence() && equal(finding.digest, view(name.entry()));
}

uint32_t lasting_number(const std::string &about) {
    return kLastingNumbers + get_be32(sha256(view(about)).data()) % (9 * kLastingNumbers);
}

uint64_t open_among(const std::vector<Finding> &findings) {
    return static_cast<uint64_t>(
        std::count_if(findings.begin(), findings.end(),
                      [](const Finding &finding) { return finding.is_open(); }));
}

std::string findings_in_words(const std::vector<Finding> &findings) {
    uint64_t explained = findings.size() - open_among(findings);
    return count_of(findings.size(), "finding") +
           (explained > 0 ? ", " + std::to_string(explained) + " of them explained" : "");
}

void Found::add(const Entry &entry, const char *kind, std::string text) {
    const pb::Statement &statement = entry.statement();
    add({entry.index, statement.host(), statement.sequence(), kind, std::move(text),
         entry.opened.digest});
}

void Found::restore(Finding finding) {
    restored_.emplace(finding.host, finding.kind, finding.text);
    add(std::move(finding));
}

void Found::add(Finding finding) {
    if (ending_ && restored_.contains({finding.host, finding.kind, finding.text}))
        return;
    if (has_room(finding))
        push(std::move(finding));
}

void Found::push(Finding finding) {
    if (finding.nth == 0) {
        finding.nth = 1;
        for (auto at = found_.rbegin(); at != found_.rend() && at->index == finding.index; ++at)
            finding.nth += at->kind == finding.kind && at->nth < kLastingNumbers ? 1 : 0;
    }
    found_.push_back(std::move(finding));
}

bool Found::close(const pb::FindingName &name) {
    auto at = std::lower_bound(
        found_.begin(), found_.end(), name.log_index(),
        [](const Finding &finding, uint64_t index) { return finding.index < index; });
    while (at != found_.end() && at->index == name.log_index() && !has_name(*at, name))
        ++at;
    if (at == found_.end() || at->index != name.log_index())
        return false;
    auto position = static_cast<size_t>(at - found_.begin());
    for (auto repeated = repeated_.begin(); repeated != repeated_.end(); ++repeated) {
        if (repeated->second.position != position)
            continue;
        closed_.push_back(std::move(repeated->second));
        repeated_.erase(repeated);
        break;
    }
    return true;
}

bool Found::stands_for_more(const Finding &finding) const {
    auto count = counts_.find({finding.host, finding.kind});
    if (count == counts_.end() || count->second <= kKept)
        return false;
    auto last = std::find_if(found_.rbegin(), found_.rend(), [&](const Finding &other) {
        return other.host == finding.host && other.kind == finding.kind;
    });
    return last != found_.rend() && last->index == finding.index && last->nth == finding.nth;
}

bool Found::has_room(const Finding &finding) {
    return ++counts_[{finding.host, finding.kind}] <= kKept;
}

Found::Repeated &Found::repeat(const Entry &entry, const char *kind, const std::string &key,
                               const std::string &subject, Line line) {
    const pb::Statement &statement = entry.statement();
    auto at = repeated_.find({statement.host(), kind, key});
    if (at == repeated_.end()) {
        Finding finding{entry.index, statement.host(),         statement.sequence(),
                        kind,        printable(subject, 1024), entry.opened.digest};
        if (!has_room(finding))
            return dropped_;
        Repeated first;
        first.position = found_.size();
        first.line = line;
        push(std::move(finding));
        at = repeated_.emplace(std::tuple(statement.host(), kind, key), first).first;
    }
    Repeated &repeated = at->second;
    if (repeated.last_sequence != statement.sequence())
        repeated.statements++;
    repeated.last_sequence = statement.sequence();
    return repeated;
}

void Found::see_event(const Entry &entry, const char *kind, const pb::Event &event) {
    constexpr std::string_view kPid = "pid ";
    std::string text = event_name(event.kind()) + ": " + event.detail();
    size_t begin = std::min(text.find(kPid), text.size());
    size_t end = std::min(text.find_first_not_of("0123456789", begin + kPid.size()), text.size());
    std::string pid = text.substr(begin, end - begin);
    Repeated &found =
        repeat(entry, kind, text.substr(0, begin) + text.substr(end), text, event_line);
    if (found.pid.empty())
        found.pid = pid;
    found.by_others |= found.pid != pid;
}

std::vector<Finding> Found::all() const {
    std::vector<Finding> all = found_;
    auto write = [&all](const Repeated &repeated) {
        all[repeated.position].text = repeated.line(all[repeated.position].text, repeated);
    };
    for (const auto &[key, repeated] : repeated_)
        write(repeated);
    for (const Repeated &repeated : closed_)
        write(repeated);
    for (const auto &[key, count] : counts_) {
        if (count <= kKept)
            continue;
        auto last = std::find_if(all.rbegin(), all.rend(), [&, &key = key](const Finding &finding) {
            return finding.host == key.first && finding.kind == key.second;
        });
        last->text += "; and " + std::to_string(count - kKept) + " more of this kind";
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const Finding &a, const Finding &b) { return a.index < b.index; });
    return all;
}

std::string findings_csv(const std::vector<Finding> &findings) {
    std::string csv = "kind,host,sequence,log_index,text,id,state,explained_by,explained_at,why,"
                      "reference,explanations\n";
    for (const Finding &finding : findings) {
        csv += finding.kind + "," + csv_field(finding.host) + "," +
               std::to_string(finding.sequence) + "," + std::to_string(finding.index) + "," +
               csv_field(finding.text) + "," + id_of(finding);
        csv += finding.is_open()
                   ? ",open,,,,"
                   : ",explained," + csv_field(finding.last->who) + "," +
                         utc_time(finding.last->wall_ns) + "," + csv_field(finding.last->why) +
                         "," + csv_field(finding.last->reference);
        csv += "," + joined(finding.explanations) + "\n";
    }
    return csv;
}

std::string joined(const std::vector<uint64_t> &numbers) {
    std::string text;
    for (uint64_t number : numbers)
        text += (text.empty() ? "" : " ") + std::to_string(number);
    return text;
}

std::string in_statements(const Found::Repeated &repeated) {
    return repeated.statements > 1 ? ", in " + count_of(repeated.statements, "statement") : "";
}

} // namespace tally
