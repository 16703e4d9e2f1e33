// tenants.d as read: its rules and parties, free of conflicts. tenants.h has the format and what
// the rules mean.
#pragma once

#include "attest/crypto.h"
#include "attest/parties.h"
#include "base/result.h"

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace tally {

// From a tenant to its payer, both counted.
inline constexpr size_t kMostParties = 8;

struct TenantRules {
    struct File {
        std::string name; // without directory
        Digest digest{};  // SHA-256 of it as read
    };
    // A tenant, or whoever one buys through, or a service.
    struct Party {
        std::string name; // of a service: kServicePrefix and its name
        std::string country;
        std::string account;
        std::string contract;
        std::vector<std::string> above; // the parent first, the payer last
    };
    struct Rule {
        uint32_t party = 0; // in `parties`
        uint32_t file = 0;  // in `files`
        uint32_t line = 0;
    };
    using Texts = std::map<std::string, Rule, std::less<>>;

    std::vector<File> files; // in order of name
    std::vector<Party> parties;
    std::map<std::string, uint32_t, std::less<>> party_named;
    Texts ids; // "KEY=VALUE", or a path
    Texts prefixes;
    std::vector<std::pair<std::string, Rule>> globs; // in their order
    Digest digest{};

    size_t size() const { return ids.size() + prefixes.size() + globs.size(); }
};

Result<TenantRules> read_tenant_files(const std::string &directory);
// The files that are read, in order of name, with their directory. An error if the directory can be
// there but not be read.
Result<std::vector<std::string>> list_tenant_files(const std::string &directory);

// A name is printed in reports and logs as it is, and kept in every statement that bills it.
bool is_party_name(const std::string &name);

} // namespace tally
