#include "audit/account.h"

#include "audit/state.h"
#include "base/text.h"

#include <algorithm>

namespace tally {

namespace {

// Walks the log: every entry goes to the examiner, the sums and `also` (explanations, with what
// they count for, to `explained`), and the account is made of it.
using SeeExplanation = std::function<void(const ExplanationEntry &, const std::vector<uint32_t> &)>;
Status examine(Account &account, Examiner &examiner, const Source &source, const Trust &trust,
               WalkOptions options, const Visit &also, const SeeExplanation &explained = {}) {
    options.explanation = [&](const ExplanationEntry &entry) {
        auto counts = examiner.add(entry.index, entry.opened);
        if (explained)
            explained(entry, counts);
    };
    auto verified = walk(
        source, trust,
        [&](const Entry &entry) {
            examiner.add(entry);
            account.usage.add(entry);
            if (also)
                also(entry);
        },
        options);
    if (!verified)
        return verified.error();
    account.log = *std::move(verified);
    account.findings = examiner.findings();
    if (options.unsealer != nullptr) {
        for (Finding &finding : options.unsealer->findings())
            account.findings.push_back(std::move(finding));
        std::stable_sort(account.findings.begin(), account.findings.end(),
                         [](const Finding &a, const Finding &b) { return a.index < b.index; });
    }
    account.coverage = examiner.coverage();
    return ok();
}

} // namespace

Result<Account> take_account(const Source &source, const Trust &trust, UsageSums usage,
                             const WalkOptions &options, const Visit &also) {
    Account account;
    account.usage = std::move(usage);
    Examiner examiner(options.limits);
    TALLY_TRY(examine(account, examiner, source, trust, options, also));
    return account;
}

Result<Account> take_account_since(const Source &source, const Trust &trust,
                                   const std::string &state_file, WalkOptions options) {
    auto before = load_state(state_file);
    if (!before)
        return before.error();
    const pb::VerifyState *known = before->has_value() ? &**before : nullptr;
    Account account;
    Examiner examiner(options.limits);
    StateKeeper keeper(known);
    if (known != nullptr)
        TALLY_TRY(restore(examiner, *known));
    options.before = known;
    options.remember = [&](const Entry &entry) { examiner.remember(entry); };
    TALLY_TRY(examine(
        account, examiner, source, trust, options, [&](const Entry &entry) { keeper.see(entry); },
        [&](const ExplanationEntry &entry, const std::vector<uint32_t> &counts) {
            keeper.see(entry, counts);
        }));
    if (known != nullptr)
        account.log.notes.push_back("the first " +
                                    entries_in_words(known->size(), known->explanation_entries()) +
                                    " were verified before, by " + state_file);
    TALLY_TRY(
        save_state(state_file, keeper.finish(account.log, account.coverage, account.findings)));
    return account;
}

std::string verification_text(const Account &account) {
    const Checkpoint &checkpoint = account.log.checkpoint;
    std::string text = account.log.in_words() + ", root " + to_base64(checkpoint.root) + "\n";
    for (const auto &[name, host] : account.coverage.hosts()) {
        text += "host " + name + ": sequences " + std::to_string(host.first_sequence) + " to " +
                std::to_string(host.last_sequence) + ", " + count_of(host.boots, "boot") + ", " +
                utc_time(host.begin_wall_ns) + " to " + utc_time(host.end_wall_ns) + ", coverage " +
                percent(host.covered_ns, host.uncovered_ns) + "\n";
    }
    for (const Finding &finding : account.findings)
        text += std::string(finding.is_open() ? "finding: " : "explained finding: ") +
                finding.kind + ": " + finding.host +
                (finding.sequence > 0 ? ", sequence " + std::to_string(finding.sequence) : "") +
                ", log index " + std::to_string(finding.index) + ": " + finding.text +
                (finding.last ? "; " + in_words(*finding.last) : "") + "\n";
    for (const std::string &note : account.log.notes)
        text += "note: " + note + "\n";
    text += "verified: checkpoint, every tile and entry, every signature, certificate and chain; " +
            findings_in_words(account.findings) + "\n";
    return text;
}

std::string findings_table(const Account &account) {
    constexpr auto kLeft = Table::Align::kLeft;
    constexpr auto kRight = Table::Align::kRight;
    Table table({kLeft, kLeft, kRight, kRight, kLeft, kLeft});
    table.add({"FINDING", "HOST", "SEQUENCE", "INDEX", "STATE", "WHAT"});
    for (const Finding &finding : account.findings) {
        table.add({id_of(finding), finding.host,
                   finding.sequence > 0 ? std::to_string(finding.sequence) : "-",
                   std::to_string(finding.index), finding.is_open() ? "open" : "explained",
                   finding.text});
        if (finding.last)
            table.add({"", "", "", "", "", in_words(*finding.last)});
    }
    return (account.findings.empty() ? std::string() : table.str() + "\n") +
           "verified: " + account.log.in_words() + "; " + findings_in_words(account.findings) +
           "\n";
}

std::string hosts_table(const Account &account) {
    constexpr auto kLeft = Table::Align::kLeft;
    constexpr auto kRight = Table::Align::kRight;
    std::map<std::string, uint64_t> findings;
    for (const Finding &finding : account.findings)
        findings[finding.host]++;
    Table table({kLeft, kRight, kRight, kLeft, kLeft, kRight, kRight});
    table.add({"HOST", "ATTESTATIONS", "BOOTS", "FROM", "TO", "COVERAGE", "FINDINGS"});
    for (const auto &[name, host] : account.coverage.hosts())
        table.add({name, std::to_string(host.attestations), std::to_string(host.boots),
                   utc_time(host.begin_wall_ns), utc_time(host.end_wall_ns),
                   percent(host.covered_ns, host.uncovered_ns), std::to_string(findings[name])});
    return table.str();
}

std::string hosts_csv(const Account &account) {
    std::string csv = "host,attestations,first_sequence,last_sequence,boots,from,to,"
                      "covered_seconds,uncovered_seconds\n";
    for (const auto &[name, host] : account.coverage.hosts())
        csv += csv_field(name) + "," + std::to_string(host.attestations) + "," +
               std::to_string(host.first_sequence) + "," + std::to_string(host.last_sequence) +
               "," + std::to_string(host.boots) + "," + utc_time(host.begin_wall_ns) + "," +
               utc_time(host.end_wall_ns) + "," + decimal_seconds(host.covered_ns) + "," +
               decimal_seconds(host.uncovered_ns) + "\n";
    return csv;
}

} // namespace tally
