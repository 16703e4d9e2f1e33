#include "audit/timeline.h"

#include "attest/parties.h"
#include "base/text.h"

#include <algorithm>

namespace tally {

namespace {

// How much of its time a character stands for was held.
char mark(uint64_t held, uint64_t length) {
    if (held == 0)
        return '.';
    if (held >= length - length / 20)
        return '#';
    return held >= length / 2 ? '+' : '-';
}

struct Scale {
    uint64_t begin = UINT64_MAX;
    uint64_t end = 0;
    size_t columns = 0;

    uint64_t at(size_t column) const {
        return begin + static_cast<uint64_t>(static_cast<unsigned __int128>(end - begin) * column /
                                             columns);
    }
};

// A span's held time is spread evenly over it: when within it is not known.
std::string bar(const std::vector<Span> &spans, const Scale &scale) {
    std::string text;
    size_t first = 0;
    for (size_t column = 0; column < scale.columns; column++) {
        uint64_t from = scale.at(column);
        uint64_t to = std::max(scale.at(column + 1), from + 1);
        while (first < spans.size() && spans[first].end_ns <= from)
            first++;
        uint64_t held = 0;
        for (size_t i = first; i < spans.size() && spans[i].begin_ns < to; i++) {
            uint64_t shared = std::min(to, spans[i].end_ns) - std::max(from, spans[i].begin_ns);
            uint64_t length = spans[i].end_ns - spans[i].begin_ns;
            add_to(held, static_cast<uint64_t>(static_cast<unsigned __int128>(shared) *
                                               spans[i].held_ns / length));
        }
        text += mark(held, to - from);
    }
    return text;
}

} // namespace

Result<std::string> timeline(const Holds &holds, const Question &question, const std::string &what,
                             size_t columns) {
    std::vector<std::pair<Holder, std::vector<Span>>> rows;
    Scale scale;
    scale.columns = columns;
    for (const auto &[holder, spans] : holds.spans()) {
        if (holder.host != what && holder.device != what && holder.tenant != what)
            continue;
        rows.emplace_back(holder, spans);
        for (const Span &span : spans) {
            scale.begin = std::min(scale.begin, span.begin_ns);
            scale.end = std::max(scale.end, span.end_ns);
        }
        // A clock that went back must not hide what came before.
        std::sort(rows.back().second.begin(), rows.back().second.end(),
                  [](const Span &a, const Span &b) { return a.begin_ns < b.begin_ns; });
    }
    if (rows.empty())
        return Error{"the log verifies, but nothing in it was held by, on or as \"" +
                     printable(what) + "\""};
    if (question.from_ns > 0)
        scale.begin = question.from_ns;
    if (question.to_ns < UINT64_MAX)
        scale.end = question.to_ns;
    Table table(
        {Table::Align::kLeft, Table::Align::kLeft, Table::Align::kLeft, Table::Align::kLeft});
    table.add({"HOST", "DEVICE", "TENANT", utc_time(scale.begin) + " to " + utc_time(scale.end)});
    for (const auto &[holder, spans] : rows)
        table.add({holder.host, printable(holder.device),
                   holder.tenant.empty() ? kUnattributed : printable(holder.tenant),
                   bar(spans, scale)});
    return table.str() + "\neach character is " +
           duration((scale.end - scale.begin) / scale.columns) +
           ": # held, + half of it or more, - less, . not\n";
}

} // namespace tally
