#include "agent/statement/disclosure.h"

#include "attest/names.h"
#include "base/durable.h"

#include <algorithm>

namespace tally {

namespace {

// Events that are about the agent, the machine's clock or its devices, and name nobody. What is not
// here is about somebody, a kind that is invented tomorrow too.
constexpr pb::Event::Kind kNamelessEvents[] = {
    pb::Event::KIND_AGENT_START,   pb::Event::KIND_AGENT_STOP,
    pb::Event::KIND_SPOOL_DAMAGED, pb::Event::KIND_SPOOL_FULL,
    pb::Event::KIND_REFUSED,       pb::Event::KIND_RECEIPT_INVALID,
    pb::Event::KIND_HOOK_LOST,     pb::Event::KIND_PIN_REMOVED,
    pb::Event::KIND_AGENT_PAUSED,  pb::Event::KIND_CLOCK_SET,
    pb::Event::KIND_DRIVER_BOUND,  pb::Event::KIND_DRIVER_UNBOUND,
    pb::Event::KIND_DEVICE_ADDED,  pb::Event::KIND_DEVICE_REMOVED,
    pb::Event::KIND_HANDED_OVER,   pb::Event::KIND_LOG_INCONSISTENT};

constexpr const char *kWithheld = "withheld";

bool has_keys(Privacy level) {
    return level != Privacy::kFull;
}

Error about(const char *what, const std::string &file, const Error &error) {
    return Error{std::string(what) + " " + file + ": " + error.message};
}

} // namespace

Kind detail_kind(pb::Event::Kind kind) {
    bool nameless = std::find(std::begin(kNamelessEvents), std::end(kNamelessEvents), kind) !=
                    std::end(kNamelessEvents);
    return nameless ? Kind::kNameless : Kind::kDetails;
}

Result<Disclosure> Disclosure::load(const PrivacyConfig &config, const std::string &host) {
    Disclosure disclosure;
    disclosure.level_ = config.level;
    disclosure.host_ = host;
    if (!has_keys(config.level))
        return disclosure;
    auto join = read_text(config.join_key);
    if (!join)
        return Error{"join key: " + join.error().message};
    auto key = parse_join_key(*join);
    if (!key)
        return about("join key", config.join_key, key.error());
    disclosure.join_key_ = *std::move(key);
    if (config.level != Privacy::kSealed)
        return disclosure;
    auto pem = read_text(config.auditor_key);
    if (!pem)
        return Error{"auditor's key: " + pem.error().message};
    auto auditor = hpke_public_key(*pem);
    if (!auditor)
        return about("auditor's key", config.auditor_key, auditor.error());
    disclosure.auditor_key_ = hpke_key_id(*auditor);
    disclosure.auditor_point_ = *std::move(auditor);
    return disclosure;
}

pb::Workload Outgoing::workload(const pb::Workload &full, bool brief) {
    if (disclosure_.level_ == Privacy::kFull)
        return full;
    sealing_ = !brief;
    // Made from nothing, so that a field that this code does not know stays here.
    pb::Workload out;
    out.set_cgroup_id(full.cgroup_id());
    out.set_cgroup_path(name(Kind::kCgroupPath, kCgroup, full.cgroup_path()));
    out.set_service(full.service());
    out.set_tenant(name(Kind::kParties, kParty, full.tenant()));
    out.set_parent(name(Kind::kParties, kParty, full.parent()));
    for (const std::string &payer : full.payers())
        out.add_payers(name(Kind::kParties, kParty, payer));
    if (full.has_identity() && treatment(Kind::kIdentityKeys) != Treatment::kNothing)
        *out.mutable_identity() = identity(full.identity());
    if (full.has_attribution() && treatment(Kind::kRule) != Treatment::kNothing)
        *out.mutable_attribution() = attribution(full.attribution());
    if (full.has_opener() && treatment(Kind::kOpener) != Treatment::kNothing)
        *out.mutable_opener() = opener(full.opener());
    for (pb::SealedName &box : boxes_)
        *out.add_sealed() = std::move(box);
    boxes_.clear();
    return out;
}

pb::Identity Outgoing::identity(const pb::Identity &full) {
    pb::Identity out;
    out.set_source(full.source());
    for (const pb::Name &each : full.names()) {
        pb::Name &to = *out.add_names();
        to.set_key(each.key());
        to.set_value(name(Kind::kIdentityValues, "name." + each.key(), each.value()));
    }
    for (const pb::Origin &each : full.origins()) {
        pb::Origin &to = *out.add_origins();
        to.set_path(name(Kind::kFiles, kFile, each.path()));
        to.set_digest(digest(each.digest()));
    }
    return out;
}

pb::Attribution Outgoing::attribution(const pb::Attribution &full) {
    pb::Attribution out;
    out.set_rule(name(Kind::kRule, kRule, full.rule()));
    out.set_digest(digest(full.digest()));
    out.set_country(name(Kind::kTerms, kCountry, full.country()));
    out.set_account(name(Kind::kTerms, kAccount, full.account()));
    out.set_contract(name(Kind::kTerms, kContract, full.contract()));
    return out;
}

pb::Opener Outgoing::opener(const pb::Opener &full) {
    pb::Opener out = full;
    out.set_executable(name(Kind::kExecutable, kExecutable, full.executable()));
    return out;
}

void Outgoing::let_out(pb::Event &event) {
    if (disclosure_.level_ == Privacy::kFull)
        return;
    sealing_ = true;
    Kind kind = detail_kind(event.kind());
    event.set_detail(treatment(kind) == Treatment::kNothing ? kWithheld
                                                            : name(kind, kDetail, event.detail()));
    if (!boxes_.empty())
        *event.mutable_sealed() = std::move(boxes_.front());
    boxes_.clear();
}

Treatment Outgoing::treatment(Kind kind) const {
    return disclosure_table()[static_cast<size_t>(kind)]
        .at[static_cast<size_t>(disclosure_.level_)];
}

std::string Outgoing::name(Kind kind, const std::string &name_kind, const std::string &value) {
    Treatment how = treatment(kind);
    if (how == Treatment::kAsIs || value.empty())
        return value;
    if (how == Treatment::kNothing)
        return {};
    Bytes whole = name_of(name_kind, value);
    std::string token = token_of(disclosure_.join_key_, whole);
    if (how == Treatment::kSealed && sealing_ && !sealed_.contains(token)) {
        if (Status sealed = seal(token, whole); !sealed)
            failure_ = sealed.error();
    }
    return token;
}

std::string Outgoing::digest(const std::string &plain) const {
    if (plain.empty() || treatment(Kind::kDigests) == Treatment::kNothing)
        return {};
    Digest keyed = keyed_digest(disclosure_.join_key_, view(plain));
    return {keyed.begin(), keyed.end()};
}

Status Outgoing::seal(const std::string &token, ByteView name) {
    if (!sender_) {
        auto ephemeral = AgreementKey::generate();
        if (!ephemeral)
            return ephemeral.error();
        auto sender = HpkeSender::start(*ephemeral, disclosure_.auditor_point_, view(kBoxInfo));
        if (!sender)
            return sender.error();
        sender_ = *std::move(sender);
    }
    pb::SealedName sealed;
    sealed.set_token(token);
    sealed.set_number(sender_->next());
    auto box = sender_->seal(box_context(disclosure_.host_, token), name);
    if (!box)
        return box.error();
    sealed.set_box(box->data(), box->size());
    boxes_.push_back(std::move(sealed));
    sealed_.insert(token);
    return ok();
}

Status Outgoing::finish(std::vector<pb::Statement> &statements) const {
    for (pb::Statement &statement : statements) {
        if (!sender_)
            break;
        pb::Sealing &sealing = *statement.mutable_sealing();
        sealing.set_key(disclosure_.auditor_key_.data(), disclosure_.auditor_key_.size());
        sealing.set_encapsulated(sender_->encapsulated().data(), sender_->encapsulated().size());
    }
    return failure_ ? Status(*failure_) : ok();
}

} // namespace tally
