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

FindingRows read_findings(soci::session &sql) {
    FindingRows rows;
    long long log_index = 0, position = 0, sequence = 0;
    Finding finding;
    soci::statement each =
        (sql.prepare << "SELECT log_index, position, kind, host, sequence, text FROM findings",
         soci::into(log_index), soci::into(position), soci::into(finding.kind),
         soci::into(finding.host), soci::into(sequence), soci::into(finding.text));
    each.execute();
    while (each.fetch()) {
        finding.index = static_cast<uint64_t>(log_index);
        finding.sequence = static_cast<uint64_t>(sequence);
        rows.emplace(std::pair(finding.index, static_cast<uint64_t>(position)), finding);
    }
    return rows;
}

void write_findings(soci::session &sql, const FindingRows &before, const FindingRows &after) {
    long long log_index = 0, position = 0, sequence = 0;
    Finding finding;
    soci::statement remove =
        (sql.prepare << "DELETE FROM findings WHERE log_index = :index AND position = :position",
         soci::use(log_index), soci::use(position));
    soci::statement add =
        (sql.prepare << "INSERT INTO findings (log_index, position, kind, host, sequence, text)"
                        " VALUES (:index, :position, :kind, :host, :sequence, :text)",
         soci::use(log_index), soci::use(position), soci::use(finding.kind),
         soci::use(finding.host), soci::use(sequence), soci::use(finding.text));
    auto differs = [](const FindingRows &rows, const FindingRows::value_type &row) {
        auto other = rows.find(row.first);
        return other == rows.end() || !(other->second == row.second);
    };
    auto at = [&](const FindingRows::key_type &key) {
        log_index = to_sql(key.first);
        position = to_sql(key.second);
    };
    for (const auto &row : before) {
        at(row.first);
        if (differs(after, row))
            remove.execute(true);
    }
    for (const auto &row : after) {
        at(row.first);
        finding = row.second;
        sequence = to_sql(finding.sequence);
        if (differs(before, row))
            add.execute(true);
    }
}

} // namespace tally
