#include "audit/verify.h"

#include "audit/table.h"
#include "audit/units.h"

namespace tally {

Result<Verdict> verify(const Source &source, const Trust &trust) {
    Findings findings;
    auto walked = walk(source, trust, [&](const Entry &entry) { findings.add(entry); });
    if (!walked)
        return walked.error();
    return Verdict{*walked, findings.hosts(), findings.list()};
}

std::string verdict_text(const Verdict &verdict) {
    const Checkpoint &checkpoint = verdict.log.checkpoint;
    std::string text = "log         " + printable(checkpoint.origin) + "\n" + "checkpoint  size " +
                       std::to_string(checkpoint.size) + ", root " + to_base64(checkpoint.root) +
                       "\n" + "verified    the checkpoint's signatures, " +
                       count_text(checkpoint.size, "attestation") + " in " +
                       count_text(verdict.log.bundles, "bundle") + ", " +
                       count_text(verdict.log.hash_tiles, "hash tile") + ", " +
                       count_text(verdict.hosts.size(), "chain") + "\n";
    if (verdict.hosts.empty())
        return text;
    constexpr auto kRight = Table::Align::kRight;
    Table table({{"host"},
                 {"sequences"},
                 {"from"},
                 {"to"},
                 {"boots", kRight},
                 {"recorded", kRight},
                 {"coverage", kRight}});
    for (const auto &[name, host] : verdict.hosts)
        table.add({printable(name, 253), range_text(host.first_sequence(), host.last_sequence()),
                   utc_text(host.begin_wall_ns()), utc_text(host.end_wall_ns()),
                   std::to_string(host.boots()), duration_text(host.covered_ns()),
                   host.coverage() + " %"});
    return text + "\n" + table.text();
}

std::string findings_text(const std::vector<Finding> &findings) {
    std::string text;
    for (const Finding &finding : findings)
        text += "finding: " + finding.kind + ": " + finding.text + "\n";
    return findings.empty() ? "" : text + count_text(findings.size(), "finding") + "\n";
}

std::string leftovers_text(const Leftovers &leftovers) {
    if (leftovers.count == 0)
        return "";
    return "note: " + count_text(leftovers.count, "file") + " beyond the checkpoint, such as " +
           printable(leftovers.first) +
           ": not part of the log and not read (a copy taken while the collector wrote, or a "
           "crash)\n";
}

} // namespace tally
