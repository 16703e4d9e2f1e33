#include "audit/unseal.h"

#include "attest/names.h"
#include "base/durable.h"
#include "base/text.h"

namespace tally {

namespace {

// So many names, and findings, of a hostile fleet that an auditor does not run out of memory.
constexpr size_t kMostNames = 1'000'000;
constexpr size_t kMostFindings = 1000;

} // namespace

Unsealer::Unsealer(AgreementKey key) : key_(std::move(key)), key_id_(hpke_key_id(key_.point())) {
}

Result<Unsealer> Unsealer::load(const std::string &key_file, const std::string &join_key_file) {
    auto pem = read_text(key_file);
    if (!pem)
        return Error{"--unseal: " + pem.error().message};
    auto key = AgreementKey::from_pem(*pem);
    if (!key)
        return Error{"--unseal " + key_file + ": " + key.error().message};
    Unsealer unsealer(*std::move(key));
    if (join_key_file.empty())
        return unsealer;
    auto text = read_text(join_key_file);
    if (!text)
        return Error{"--join-key: " + text.error().message};
    auto join = parse_join_key(*text);
    if (!join)
        return Error{"--join-key " + join_key_file + ": " + join.error().message};
    unsealer.join_key_ = *std::move(join);
    return unsealer;
}

void Unsealer::unseal(uint64_t index, pb::Statement &statement) {
    const pb::Sealing &sealing = statement.sealing();
    if (statement.has_sealing() && !equal(view(sealing.key()), key_id_)) {
        for_another_++;
    } else if (statement.has_sealing()) {
        auto receiver = HpkeReceiver::start(key_, view(sealing.encapsulated()), view(kBoxInfo));
        if (receiver) {
            for (const pb::Workload &workload : statement.workloads()) {
                for (const pb::SealedName &sealed : workload.sealed())
                    open(index, statement, sealed, *receiver);
            }
            for (const pb::Event &event : statement.events()) {
                if (event.has_sealed())
                    open(index, statement, event.sealed(), *receiver);
            }
        } else {
            find(index, statement, "boxes that do not open: " + receiver.error().message);
        }
    }
    for (pb::Workload &workload : *statement.mutable_workloads())
        put_names(statement.host(), workload);
    for (pb::Event &event : *statement.mutable_events()) {
        const std::string &token = event.sealed().token();
        if (auto known = name(statement.host(), token); known && event.detail().starts_with(token))
            event.set_detail(std::string(value_of(*known)) + event.detail().substr(token.size()));
    }
}

void Unsealer::open(uint64_t index, const pb::Statement &statement, const pb::SealedName &sealed,
                    const HpkeReceiver &receiver) {
    const std::string &token = sealed.token();
    auto name =
        receiver.open(sealed.number(), box_context(statement.host(), token), view(sealed.box()));
    std::string subject = "the box of " + printable(token);
    if (!name)
        return find(index, statement, subject + " does not open: " + name.error().message);
    std::string meant = printable(value_of(*name));
    if (!join_key_.empty() && token_of(join_key_, *name) != token)
        return find(index, statement,
                    subject + " holds " + meant + ", which has another token: not believed");
    if (names_.size() >= kMostNames) {
        beyond_++;
        return;
    }
    auto [first, fresh] = meanings_.try_emplace(token, statement.host(), *name);
    if (!fresh && first->second.second != *name)
        find(index, statement,
             subject + " holds " + meant + "; host " + printable(first->second.first) + " means " +
                 printable(value_of(first->second.second)) +
                 " by the same token: --join-key tells who lies");
    names_.insert_or_assign({statement.host(), token}, *std::move(name));
}

void Unsealer::put_names(const std::string &host, pb::Workload &workload) const {
    workload.set_cgroup_path(value(host, workload.cgroup_path()));
    workload.set_tenant(value(host, workload.tenant()));
    workload.set_parent(value(host, workload.parent()));
    for (std::string &payer : *workload.mutable_payers())
        payer = value(host, payer);
    if (workload.has_identity()) {
        for (pb::Name &each : *workload.mutable_identity()->mutable_names())
            each.set_value(value(host, each.value()));
        for (pb::Origin &each : *workload.mutable_identity()->mutable_origins())
            each.set_path(value(host, each.path()));
    }
    if (workload.has_attribution()) {
        pb::Attribution &attribution = *workload.mutable_attribution();
        attribution.set_rule(value(host, attribution.rule()));
        attribution.set_country(value(host, attribution.country()));
        attribution.set_account(value(host, attribution.account()));
        attribution.set_contract(value(host, attribution.contract()));
    }
    if (workload.has_opener())
        workload.mutable_opener()->set_executable(value(host, workload.opener().executable()));
}

std::optional<Bytes> Unsealer::name(const std::string &host, const std::string &token) const {
    auto found = names_.find({host, token});
    return found == names_.end() ? std::nullopt : std::optional(found->second);
}

std::string Unsealer::value(const std::string &host, const std::string &token) const {
    auto known = is_token(token) ? name(host, token) : std::nullopt;
    return known ? std::string(value_of(*known)) : token;
}

void Unsealer::find(uint64_t index, const pb::Statement &statement, const std::string &text) {
    if (found_.size() < kMostFindings)
        found_.push_back({index, statement.host(), statement.sequence(), "sealed", text});
}

std::vector<std::string> Unsealer::notes() const {
    std::vector<std::string> notes;
    if (for_another_ > 0)
        notes.push_back("names in " + count_of(for_another_, "attestation") +
                        " are sealed to another key than " + to_hex(key_id_));
    if (beyond_ > 0)
        notes.push_back(count_of(beyond_, "name") + " beyond the first " +
                        std::to_string(kMostNames) + " left as tokens");
    return notes;
}

} // namespace tally
