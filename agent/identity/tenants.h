// Who answers for a workload: tenants.d/*.toml maps cgroup globs to tenants and whom they buy
// through. What no rule names stays unattributed, never dropped.
//
//   [[tenant]]
//   name = "globex"
//   parent = "middleman"              # optional
//   cgroups = ["/tenants/globex*"]    # glob(7); a match covers everything below it
//
// A backslash stands for itself ('/machine.slice/machine-qemu\x2d3\x2dvm.scope', in TOML's single
// quotes); [*] is a star.
// Files are read in order of name; the first rule that matches wins.
#pragma once

#include "attest/crypto.h"
#include "base/result.h"

#include <string>
#include <vector>

namespace tally {

struct Tenant {
    std::string name; // empty: unattributed
    std::string parent;
    std::vector<std::string> payers; // above the parent, in order
    std::string rule;                // that says so: file, line, and what matched
    Digest digest{};                 // SHA-256 of that file
    bool operator==(const Tenant &) const = default;
};

class Tenants {
public:
    // A directory that does not exist is no error: nobody is named, and all use is unattributed.
    // A file that does not parse is one, with file and line.
    static Result<Tenants> load(const std::string &directory);

    Tenant of(const std::string &cgroup_path) const;
    size_t size() const { return rules_.size(); }
    // SHA-256 over the files as read, for the record of what was in force.
    const Digest &digest() const { return digest_; }

private:
    struct Rule {
        std::string glob;
        Tenant tenant;
    };
    std::vector<Rule> rules_;
    Digest digest_{};
};

} // namespace tally
