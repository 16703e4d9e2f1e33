// Findings as rows of the index, so that they can be asked for while a collector runs. `state` is
// open, explained, or withdrawn, which is open again; `explanations` are log indices, spaces
// between.
#pragma once

#include "findings/finding.h"

#include <map>
#include <utility>
#include <vector>

namespace soci {
class session;
}

namespace tally {

inline constexpr const char *kFoundSchema[] = {
    "CREATE TABLE IF NOT EXISTS findings (log_index BIGINT NOT NULL, position BIGINT NOT NULL,"
    " kind TEXT NOT NULL, host TEXT NOT NULL, sequence BIGINT NOT NULL, text TEXT NOT NULL,"
    " nth BIGINT NOT NULL, digest TEXT NOT NULL, state TEXT NOT NULL, explained_by TEXT NOT NULL,"
    " explained_wall_ns BIGINT NOT NULL, why TEXT NOT NULL, reference TEXT NOT NULL,"
    " explanations TEXT NOT NULL,"
    " PRIMARY KEY (log_index, position))",
    "CREATE INDEX IF NOT EXISTS findings_by_host ON findings (host, log_index)",
};

// By log index, and position among those of one attestation.
using FindingRows = std::map<std::pair<uint64_t, uint64_t>, Finding>;
FindingRows finding_rows(const std::vector<Finding> &findings);

// Throw what SOCI throws.
FindingRows read_findings(soci::session &sql);
// Where `before` is what the index has, writes what differs.
void write_findings(soci::session &sql, const FindingRows &before, const FindingRows &after);

} // namespace tally
