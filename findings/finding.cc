#include "findings/finding.h"

#include "base/text.h"
#include "findings/names.h"

#include <algorithm>

namespace tally {

namespace {

constexpr uint64_t kKept = 1000; // of one host and kind

std::string event_line(const std::string &subject, const Found::Repeated &repeated) {
    std::string text = subject;
    size_t pid = repeated.by_others ? text.find(repeated.pid) : std::string::npos;
    if (pid != std::string::npos)
        text.insert(pid + repeated.pid.size(), " and others");
    return text + in_statements(repeated);
}

} // namespace

void Found::add(const Entry &entry, const char *kind, std::string text) {
    const pb::Statement &statement = entry.statement();
    add({entry.index, statement.host(), statement.sequence(), kind, std::move(text)});
}

void Found::restore(Finding finding) {
    restored_.emplace(finding.host, finding.kind, finding.text);
    add(std::move(finding));
}

void Found::add(Finding finding) {
    if (ending_ && restored_.contains({finding.host, finding.kind, finding.text}))
        return;
    if (has_room(finding))
        found_.push_back(std::move(finding));
}

bool Found::has_room(const Finding &finding) {
    return ++counts_[{finding.host, finding.kind}] <= kKept;
}

Found::Repeated &Found::repeat(const Entry &entry, const char *kind, const std::string &key,
                               const std::string &subject, Line line) {
    const pb::Statement &statement = entry.statement();
    auto at = repeated_.find({statement.host(), kind, key});
    if (at == repeated_.end()) {
        Finding finding{entry.index, statement.host(), statement.sequence(), kind,
                        printable(subject, 1024)};
        if (!has_room(finding))
            return dropped_;
        Repeated first;
        first.position = found_.size();
        first.line = line;
        found_.push_back(std::move(finding));
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
    for (const auto &[key, repeated] : repeated_)
        all[repeated.position].text = repeated.line(all[repeated.position].text, repeated);
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
    std::string csv = "kind,host,sequence,log_index,text\n";
    for (const Finding &finding : findings)
        csv += finding.kind + "," + csv_field(finding.host) + "," +
               std::to_string(finding.sequence) + "," + std::to_string(finding.index) + "," +
               csv_field(finding.text) + "\n";
    return csv;
}

std::string in_statements(const Found::Repeated &repeated) {
    return repeated.statements > 1 ? ", in " + count_of(repeated.statements, "statement") : "";
}

} // namespace tally
