#include "agent/identity/tenant_files.h"

#include "base/durable.h"
#include "base/toml.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>

namespace tally {

namespace {

constexpr size_t kMostText = 4096; // no cgroup path, and no name, is longer

struct Place {
    std::string file; // its path
    uint32_t line = 0;
    std::string str() const { return file + ":" + std::to_string(line); }
};

// What a table may say of a tenant, once.
struct Fact {
    std::string value; // empty: not said
    Place place;
};

constexpr std::array<const char *, 4> kFacts = {"parent", "country", "account", "contract"};

// What a table names workloads by.
struct RuleTexts {
    std::vector<TomlString> ids;
    std::vector<TomlString> prefixes;
    std::vector<TomlString> globs;

    void read(TomlTable &table) {
        table.strings("ids", ids).strings("prefixes", prefixes).strings("cgroups", globs);
    }
    bool empty() const { return ids.empty() && prefixes.empty() && globs.empty(); }
};

class Reader {
public:
    explicit Reader(TenantRules &rules) : rules_(rules) {}

    Status read(const std::string &path);
    // All are read.
    Status finish();

private:
    using Facts = std::array<Fact, kFacts.size()>;

    Status read_tenant(TomlTable &table);
    Status read_service(TomlTable &table);
    Status add_rules(uint32_t party, const RuleTexts &texts);
    Status add_facts(uint32_t party, const Facts &facts, const TomlTable &table);
    Status add_texts(TenantRules::Texts &rules, const char *key, uint32_t party,
                     const std::vector<TomlString> &texts);
    Status add_globs(uint32_t party, const std::vector<TomlString> &globs);
    Status conflict(const char *key, const TomlString &text, uint32_t party,
                    const TenantRules::Rule &other) const;
    Error error(uint32_t line, const std::string &message) const {
        return Error{path_ + ":" + std::to_string(line) + ": " + message};
    }
    uint32_t party(const std::string &name);
    TenantRules::Rule rule(uint32_t party, uint32_t line) const {
        return {party, static_cast<uint32_t>(rules_.files.size() - 1), line};
    }

    Status link_parties();

    TenantRules &rules_;
    Sha256 digest_;
    std::string path_; // of the file being read
    std::vector<std::string> paths_;
    std::vector<Facts> facts_; // by party
    std::map<std::string, TenantRules::Rule> globs_;
};

Status check_name(const TomlTable &table, const char *key, const std::string &name) {
    if (name.size() > 128)
        return table.error(key, "must be at most 128 bytes");
    if (printable(name) != name)
        return table.error(key, "must be printable ASCII");
    if (name == kUnattributed)
        return table.error(key, "is what reports call the time that is nobody's");
    if (is_service_name(name))
        return table.error(key, "begins as reports begin the names of services");
    return ok();
}

// A path, or KEY=VALUE.
std::string what_is_wrong_with(const std::string &text, bool whole) {
    if (text.size() > kMostText)
        return "is too long";
    if (text.find('\0') != std::string::npos)
        return "must have no NUL";
    if (text.starts_with('/'))
        return whole && text.size() > 1 && text.ends_with('/') ? "must not end with /" : "";
    size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
        return "must be KEY=VALUE, or a path that begins with /";
    return whole && equals + 1 == text.size() ? "names nothing behind its =" : "";
}

Status Reader::read(const std::string &path) {
    auto contents = read_text(path);
    if (!contents)
        return contents.error();
    digest_.update(view(*contents));
    path_ = path;
    paths_.push_back(path);
    rules_.files.push_back(
        {std::filesystem::path(path).filename().string(), sha256(view(*contents))});
    auto root = TomlTable::parse(*contents, path);
    if (!root)
        return root.error();
    root->tables("tenant", [&](TomlTable &table) { return read_tenant(table); });
    root->tables("service", [&](TomlTable &table) { return read_service(table); });
    return root->finish();
}

Status Reader::read_tenant(TomlTable &table) {
    std::string name;
    Facts facts;
    RuleTexts texts;
    table.required("name").string("name", name);
    for (size_t i = 0; i < kFacts.size(); i++)
        table.string(kFacts[i], facts[i].value);
    texts.read(table);
    TALLY_TRY(table.finish());
    TALLY_TRY(check_name(table, "name", name));
    if (name.empty())
        return table.error("name", "must not be empty");
    bool says_something = !texts.empty();
    for (size_t i = 0; i < kFacts.size(); i++) {
        TALLY_TRY(check_name(table, kFacts[i], facts[i].value));
        facts[i].place = {path_, table.line(kFacts[i])};
        says_something |= !facts[i].value.empty();
    }
    if (!says_something)
        return error(table.line(), "tenant " + name +
                                       " is given no ids, prefixes or cgroups, and nothing is "
                                       "said of it");
    uint32_t tenant = party(name);
    TALLY_TRY(add_facts(tenant, facts, table));
    return add_rules(tenant, texts);
}

Status Reader::read_service(TomlTable &table) {
    std::string name;
    RuleTexts texts;
    table.required("name").string("name", name);
    texts.read(table);
    TALLY_TRY(table.finish());
    TALLY_TRY(check_name(table, "name", name));
    if (name.empty())
        return table.error("name", "must not be empty");
    if (texts.empty())
        return error(table.line(), "service " + name + " is given no ids, prefixes or cgroups");
    return add_rules(party(std::string(kServicePrefix) + name), texts);
}

Status Reader::add_rules(uint32_t party, const RuleTexts &texts) {
    TALLY_TRY(add_texts(rules_.ids, "ids", party, texts.ids));
    TALLY_TRY(add_texts(rules_.prefixes, "prefixes", party, texts.prefixes));
    return add_globs(party, texts.globs);
}

uint32_t Reader::party(const std::string &name) {
    auto next = static_cast<uint32_t>(rules_.parties.size());
    auto [entry, fresh] = rules_.party_named.try_emplace(name, next);
    if (fresh) {
        rules_.parties.push_back({.name = name});
        facts_.emplace_back();
    }
    return entry->second;
}

Status Reader::add_facts(uint32_t party, const Facts &facts, const TomlTable &table) {
    for (size_t i = 0; i < kFacts.size(); i++) {
        Fact &known = facts_[party][i];
        if (facts[i].value.empty() || facts[i].value == known.value)
            continue;
        if (!known.value.empty())
            return table.error(kFacts[i], "of " + rules_.parties[party].name + " is \"" +
                                              facts[i].value + "\" here and \"" + known.value +
                                              "\" at " + known.place.str());
        known = facts[i];
    }
    return ok();
}

Status Reader::add_texts(TenantRules::Texts &rules, const char *key, uint32_t party,
                         const std::vector<TomlString> &texts) {
    for (const TomlString &text : texts) {
        std::string wrong = what_is_wrong_with(text.value, &rules == &rules_.ids);
        if (!wrong.empty())
            return error(text.line,
                         std::string(key) + ": \"" + printable(text.value) + "\" " + wrong);
        auto [entry, fresh] = rules.try_emplace(text.value, rule(party, text.line));
        if (!fresh)
            TALLY_TRY(conflict(key, text, party, entry->second));
    }
    return ok();
}

Status Reader::add_globs(uint32_t party, const std::vector<TomlString> &globs) {
    for (const TomlString &glob : globs) {
        if (!glob.value.starts_with('/') || glob.value.size() > kMostText)
            return error(glob.line, "cgroups: \"" + printable(glob.value) + "\" must begin with /" +
                                        " and be at most 4096 bytes");
        auto [entry, fresh] = globs_.try_emplace(glob.value, rule(party, glob.line));
        if (fresh)
            rules_.globs.emplace_back(glob.value, entry->second);
        else
            TALLY_TRY(conflict("cgroups", glob, party, entry->second));
    }
    return ok();
}

// The same twice for one tenant is none.
Status Reader::conflict(const char *key, const TomlString &text, uint32_t party,
                        const TenantRules::Rule &other) const {
    if (other.party == party)
        return ok();
    return error(text.line, std::string(key) + ": \"" + printable(text.value) + "\" is " +
                                rules_.parties[party].name + "'s here and " +
                                rules_.parties[other.party].name + "'s at " +
                                Place{paths_[other.file], other.line}.str());
}

Status Reader::finish() {
    rules_.digest = digest_.finish();
    return link_parties();
}

// Each party's way up to its payer.
Status Reader::link_parties() {
    for (size_t i = 0; i < facts_.size(); i++) {
        TenantRules::Party &party = rules_.parties[i];
        const auto &[parent, country, account, contract] = facts_[i];
        party.country = country.value;
        party.account = account.value;
        party.contract = contract.value;
        std::string way = party.name;
        for (const Fact *up = &parent; !up->value.empty();) {
            way += " -> " + up->value + " (" + up->place.str() + ")";
            auto next = rules_.party_named.find(up->value);
            auto seen = std::find(party.above.begin(), party.above.end(), up->value);
            if (up->value == party.name || seen != party.above.end())
                return Error{parent.place.str() + ": parent: a loop: " + way};
            party.above.push_back(up->value);
            if (party.above.size() == kMostParties)
                return Error{parent.place.str() + ": parent: more than " +
                             std::to_string(kMostParties) + " from tenant to payer: " + way};
            if (next == rules_.party_named.end())
                break;
            up = &facts_[next->second].front();
        }
    }
    return ok();
}

} // namespace

bool is_party_name(const std::string &name) {
    return !name.empty() && name.size() <= 128 && printable(name) == name &&
           name != kUnattributed && !is_service_name(name);
}

Result<std::vector<std::string>> list_tenant_files(const std::string &directory) {
    std::vector<std::string> files;
    std::error_code failure;
    for (std::filesystem::directory_iterator at(directory, failure), end; !failure && at != end;
         at.increment(failure)) {
        if (at->path().extension() == ".toml" && !at->path().filename().string().starts_with('.'))
            files.push_back(at->path().string());
    }
    if (failure && failure != std::errc::no_such_file_or_directory)
        return Error{"read directory " + directory + ": " + failure.message()};
    std::sort(files.begin(), files.end());
    return files;
}

Result<TenantRules> read_tenant_files(const std::string &directory) {
    auto files = list_tenant_files(directory);
    if (!files)
        return files.error();
    TenantRules rules;
    Reader reader(rules);
    for (const std::string &file : *files)
        TALLY_TRY(reader.read(file));
    TALLY_TRY(reader.finish());
    return rules;
}

} // namespace tally
