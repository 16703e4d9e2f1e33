#include "collector/found.h"

#include "collector/index_sql.h"

namespace tally {

FindingRows finding_rows(const std::vector<Finding> &findings) {
    FindingRows rows;
    for (const Finding &finding : findings) {
        uint64_t position = 0;
        while (rows.contains({finding.index, position}))
            position++;
        rows.emplace(std::pair(finding.index, position), finding);
    }
    return rows;
}

namespace {

// A finding as its columns hold it.
struct Columns {
    long long log_index = 0, position = 0, sequence = 0, nth = 0, wall_ns = 0;
    std::string kind, host, text, digest, state, who, why, reference, explanations;
};

void fill(Columns &columns, const Finding &finding) {
    Explained last = finding.last.value_or(Explained());
    columns.sequence = to_sql(finding.sequence);
    columns.nth = finding.nth;
    columns.wall_ns = to_sql(last.wall_ns);
    columns.kind = finding.kind;
    columns.host = finding.host;
    columns.text = finding.text;
    columns.digest = to_hex(finding.digest);
    columns.state = !finding.is_open() ? "explained" : finding.last ? "withdrawn" : "open";
    columns.who = last.who;
    columns.why = last.why;
    columns.reference = last.reference;
    columns.explanations = joined(finding.explanations);
}

Finding finding_of(const Columns &columns) {
    Finding finding{static_cast<uint64_t>(columns.log_index),
                    columns.host,
                    static_cast<uint64_t>(columns.sequence),
                    columns.kind,
                    columns.text,
                    digest_of(columns.digest),
                    static_cast<uint32_t>(columns.nth)};
    std::string_view rest = columns.explanations;
    while (!rest.empty()) {
        auto index = parse_decimal(take_until(rest, ' '));
        if (!index)
            throw std::runtime_error("holds a log index that is none");
        finding.explanations.push_back(*index);
    }
    if (columns.state != "open")
        finding.last = {columns.who, static_cast<uint64_t>(columns.wall_ns), columns.why,
                        columns.reference, columns.state == "withdrawn"};
    return finding;
}

} // namespace

FindingRows read_findings(soci::session &sql) {
    FindingRows rows;
    Columns row;
    soci::statement each =
        (sql.prepare << "SELECT log_index, position, kind, host, sequence, text, nth, digest,"
                        " state, explained_by, explained_wall_ns, why, reference, explanations"
                        " FROM findings",
         soci::into(row.log_index), soci::into(row.position), soci::into(row.kind),
         soci::into(row.host), soci::into(row.sequence), soci::into(row.text), soci::into(row.nth),
         soci::into(row.digest), soci::into(row.state), soci::into(row.who),
         soci::into(row.wall_ns), soci::into(row.why), soci::into(row.reference),
         soci::into(row.explanations));
    each.execute();
    while (each.fetch())
        rows.emplace(
            std::pair(static_cast<uint64_t>(row.log_index), static_cast<uint64_t>(row.position)),
            finding_of(row));
    return rows;
}

void write_findings(soci::session &sql, const FindingRows &before, const FindingRows &after) {
    Columns columns;
    soci::statement remove =
        (sql.prepare << "DELETE FROM findings WHERE log_index = :index AND position = :position",
         soci::use(columns.log_index), soci::use(columns.position));
    soci::statement add =
        (sql.prepare
             << "INSERT INTO findings (log_index, position, kind, host, sequence, text, nth,"
                " digest, state, explained_by, explained_wall_ns, why, reference,"
                " explanations) VALUES (:index, :position, :kind, :host, :sequence, :text,"
                " :nth, :digest, :state, :who, :wall, :why, :reference, :explanations)",
         soci::use(columns.log_index), soci::use(columns.position), soci::use(columns.kind),
         soci::use(columns.host), soci::use(columns.sequence), soci::use(columns.text),
         soci::use(columns.nth), soci::use(columns.digest), soci::use(columns.state),
         soci::use(columns.who), soci::use(columns.wall_ns), soci::use(columns.why),
         soci::use(columns.reference), soci::use(columns.explanations));
    auto differs = [](const FindingRows &rows, const FindingRows::value_type &row) {
        auto other = rows.find(row.first);
        return other == rows.end() || !(other->second == row.second);
    };
    auto at = [&](const FindingRows::key_type &key) {
        columns.log_index = to_sql(key.first);
        columns.position = to_sql(key.second);
    };
    for (const auto &row : before) {
        at(row.first);
        if (differs(after, row))
            remove.execute(true);
    }
    for (const auto &row : after) {
        at(row.first);
        fill(columns, row.second);
        if (differs(before, row))
            add.execute(true);
    }
}

} // namespace tally
