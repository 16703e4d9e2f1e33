#include "agent/identity/tenants.h"

#include <algorithm>
#include <fnmatch.h>

namespace tally {

namespace {

using Texts = TenantRules::Texts;

// The longest that `text` begins with. Whatever lies between it and `text` in the map shares less
// with `text` than the map's next one before: so each step back is a shorter beginning.
Texts::const_iterator longest_prefix(const Texts &prefixes, std::string_view text) {
    std::string_view begin = text;
    for (;;) {
        auto at = prefixes.upper_bound(begin);
        if (at == prefixes.begin())
            return prefixes.end();
        --at;
        const std::string &prefix = at->first;
        if (text.starts_with(prefix))
            return at;
        auto differ = std::mismatch(prefix.begin(), prefix.end(), begin.begin(), begin.end());
        begin = begin.substr(0, static_cast<size_t>(differ.first - prefix.begin()));
    }
}

bool stands_before(const TenantRules::Rule &a, const TenantRules::Rule &b) {
    return std::pair(a.file, a.line) < std::pair(b.file, b.line);
}

} // namespace

std::string chain_text(const Tenant &tenant) {
    if (tenant.name.empty())
        return "nobody";
    std::string text = tenant.name;
    if (!tenant.parent.empty())
        text += " through " + tenant.parent;
    for (const std::string &payer : tenant.payers)
        text += " through " + payer;
    return text;
}

Result<Tenants> Tenants::load(const std::string &directory, std::vector<std::string> tenant_names) {
    auto rules = read_tenant_files(directory);
    if (!rules)
        return rules.error();
    Tenants tenants;
    tenants.rules_ = std::move(*rules);
    tenants.tenant_names_ = std::move(tenant_names);
    return tenants;
}

Tenant Tenants::of(const std::string &cgroup_path, const Identity &identity) const {
    auto best = rules_.ids.end();
    for (const Name &name : identity.names) {
        auto found = rules_.ids.find(name.key + "=" + name.value);
        if (found != rules_.ids.end() &&
            (best == rules_.ids.end() || stands_before(found->second, best->second)))
            best = found;
    }
    if (best == rules_.ids.end())
        best = rules_.ids.find(cgroup_path);
    if (best != rules_.ids.end())
        return tenant(best->second, "ids", best->first);

    best = rules_.prefixes.end();
    for (const Name &name : identity.names) {
        auto found = longest_prefix(rules_.prefixes, name.key + "=" + name.value);
        if (found == rules_.prefixes.end())
            continue;
        size_t longest = best == rules_.prefixes.end() ? 0 : best->first.size();
        if (found->first.size() > longest ||
            (found->first.size() == longest && stands_before(found->second, best->second)))
            best = found;
    }
    if (best == rules_.prefixes.end())
        best = longest_prefix(rules_.prefixes, cgroup_path);
    if (best != rules_.prefixes.end())
        return tenant(best->second, "prefixes", best->first);

    // systemd writes its escapes with backslashes: a path that is copied from it must match itself.
    constexpr int kFlags = FNM_PATHNAME | FNM_LEADING_DIR | FNM_NOESCAPE;
    for (const auto &[glob, rule] : rules_.globs) {
        if (fnmatch(glob.c_str(), cgroup_path.c_str(), kFlags) == 0)
            return tenant(rule, "cgroups", glob);
    }
    for (const std::string &key : tenant_names_) {
        const std::string &value = identity.name(key);
        if (!is_party_name(value))
            continue;
        Tenant named;
        named.name = value;
        named.rule = "tenant_names " + key;
        auto party = rules_.party_named.find(value);
        if (party != rules_.party_named.end())
            set_party(named, rules_.parties[party->second]);
        return named;
    }
    return {};
}

Tenant Tenants::tenant(const TenantRules::Rule &rule, const char *key,
                       const std::string &what) const {
    Tenant tenant;
    const TenantRules::File &file = rules_.files[rule.file];
    set_party(tenant, rules_.parties[rule.party]);
    tenant.rule = printable(file.name + ":" + std::to_string(rule.line) + ": " + key + " " + what);
    tenant.digest = file.digest;
    return tenant;
}

void Tenants::set_party(Tenant &tenant, const TenantRules::Party &party) const {
    tenant.name = party.name;
    tenant.country = party.country;
    tenant.account = party.account;
    tenant.contract = party.contract;
    if (party.above.empty())
        return;
    tenant.parent = party.above.front();
    tenant.payers.assign(party.above.begin() + 1, party.above.end());
}

} // namespace tally
