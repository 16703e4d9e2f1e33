// Who answers for a workload: tenants.d/*.toml says which workloads are whose, whom their tenants
// buy through, and what an auditor asks of each. What no rule names stays unattributed, never
// dropped.
//
//   [[tenant]]
//   name = "globex"
//   parent = "middleman"              # whom it buys through; who has no parent pays
//   country = "DE"                    # jurisdiction: ISO 3166-1 alpha-2, or a tag of your own
//   account = "4711"                  # these two as your books have them
//   contract = "GLX-2026-03"
//   ids = ["kubernetes.namespace=globex", "/machine.slice/vm-7.scope"]
//   prefixes = ["libvirt.domain=globex-", "/kubepods.slice/globex-"]
//   cgroups = ["/tenants/globex*"]    # glob(7); a match covers everything below it
//
//   [[service]]                       # no tenant's: a program of the host's own that has devices
//   open name = "dcgm"                     # shown in every report, never billed ids =
//   ["systemd.unit=nvidia-dcgm.service"]  # prefixes and cgroups as above
//
// All but a tenant's name may be left out, but not all of it. A tenant may have several tables, in
// several files: their rules add up, and what they say of parent, country, account and contract
// must agree. A parent without a table of its own is a payer of whom nothing more is known.
//
// A rule names a workload by what its platform calls it (KEY=VALUE, agent/identity/names.h) or
// by its cgroup's path, which begins with "/". Where several match, this one counts:
//
//   1. ids of a name: the whole of it
//   2. ids of a path: that cgroup, not those below it
//   3. prefixes of a name: the longest, counted with its KEY=
//   4. prefixes of a path: the longest
//   5. cgroups: the first, files in order of name; in one file tenants' before services'
//   6. a name whose key is in tenant_names ([identity] in tallyd.toml): its value is the tenant
//
// Of several names that match by 1, and of equally long ones by 3, the rule that stands first
// counts. The same id, prefix or glob for two tenants, a tenant with two parents, a tenant that
// buys through itself, and more than kMostParties from a tenant to its payer are errors that name
// both places.
//
// A prefix is compared byte by byte: "/a/b" also begins "/a/bc", "/a/b/" does not. In globs a
// backslash stands for itself ('/machine.slice/machine-qemu\x2d3\x2dvm.scope', in TOML's single
// quotes); [*] is a star. Files whose names begin with "." are left alone.
#pragma once

#include "agent/identity/identity.h"
#include "agent/identity/tenant_files.h"
#include "attest/crypto.h"
#include "base/result.h"

#include <string>
#include <vector>

namespace tally {

struct Tenant {
    std::string name; // empty: unattributed; with kServicePrefix: a service of the host's
    std::string parent;
    std::vector<std::string> payers; // above the parent, in order
    std::string country;
    std::string account;
    std::string contract;
    std::string rule; // that says so: file, line, and what matched
    Digest digest{};  // SHA-256 of that file; zero if the configuration says so
    bool operator==(const Tenant &) const = default;
    // The same tenant, who pays by the same way.
    bool is_same(const Tenant &other) const {
        return name == other.name && parent == other.parent && payers == other.payers;
    }
};

// "globex through middleman through bigcloud"; "nobody".
std::string chain_text(const Tenant &tenant);

class Tenants {
public:
    // A directory that does not exist is no error: nobody is named, and all use is unattributed.
    // A file that does not parse is one, and so is a conflict, with file and line.
    static Result<Tenants> load(const std::string &directory,
                                std::vector<std::string> tenant_names = {});

    Tenant of(const std::string &cgroup_path, const Identity &identity = {}) const;
    size_t size() const { return rules_.size(); } // rules
    // SHA-256 over the files as read, for the record of what was in force.
    const Digest &digest() const { return rules_.digest; }

private:
    Tenant tenant(const TenantRules::Rule &rule, const char *key, const std::string &what) const;
    void set_party(Tenant &tenant, const TenantRules::Party &party) const;

    TenantRules rules_;
    std::vector<std::string> tenant_names_;
};

} // namespace tally
