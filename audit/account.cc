#include "audit/account.h"

#include "base/text.h"

namespace tally {

Result<Account> take_account(const Source &source, const Trust &trust) {
    Account account;
    Examiner examiner;
    auto verified = walk(source, trust, [&](const Entry &entry) {
        examiner.add(entry);
        account.usage.add(entry);
    });
    if (!verified)
        return verified.error();
    account.log = *std::move(verified);
    account.findings = examiner.finish();
    account.coverage = examiner.coverage();
    return account;
}

std::string verification_text(const Account &account) {
    const Checkpoint &checkpoint = account.log.checkpoint;
    std::string text = "log " + checkpoint.origin + ", " +
                       count_of(checkpoint.size, "attestation") + ", root " +
                       to_base64(checkpoint.root) + "\n";
    for (const auto &[name, host] : account.coverage.hosts()) {
        text += "host " + name + ": sequences " + std::to_string(host.first_sequence) + " to " +
                std::to_string(host.last_sequence) + ", " + count_of(host.boots, "boot") + ", " +
                utc_time(host.begin_wall_ns) + " to " + utc_time(host.end_wall_ns) + ", coverage " +
                percent(host.covered_ns, host.uncovered_ns) + "\n";
    }
    for (const Finding &finding : account.findings)
        text += "finding: " + finding.kind + ": " + finding.host + ", sequence " +
                std::to_string(finding.sequence) + ", log index " + std::to_string(finding.index) +
                ": " + finding.text + "\n";
    for (const std::string &note : account.log.notes)
        text += "note: " + note + "\n";
    text += "verified: checkpoint, every tile and entry, every signature, certificate and chain; " +
            count_of(account.findings.size(), "finding") + "\n";
    return text;
}

} // namespace tally
