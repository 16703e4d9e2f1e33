#include "agent/identity/tenants.h"

#include "base/durable.h"
#include "base/toml.h"

#include <algorithm>
#include <filesystem>
#include <fnmatch.h>

namespace tally {

namespace {
// A name is printed in reports and logs as it is, and kept in every statement that bills it.
Status check_name(const TomlTable &table, const char *key, const std::string &name) {
    if (name.size() > 128)
        return table.error(key, "must be at most 128 bytes");
    if (printable(name) != name)
        return table.error(key, "must be printable ASCII");
    return ok();
}
} // namespace

Result<Tenants> Tenants::load(const std::string &directory) {
    Tenants tenants;
    std::error_code failure;
    std::vector<std::string> files;
    for (std::filesystem::directory_iterator at(directory, failure), end; !failure && at != end;
         at.increment(failure)) {
        if (at->path().extension() == ".toml")
            files.push_back(at->path().string());
    }
    if (failure && failure != std::errc::no_such_file_or_directory)
        return Error{"read directory " + directory + ": " + failure.message()};
    std::sort(files.begin(), files.end());

    Sha256 digest;
    for (const std::string &file : files) {
        auto contents = read_text(file);
        if (!contents)
            return contents.error();
        digest.update(view(*contents));
        auto root = TomlTable::parse(*contents, file);
        if (!root)
            return root.error();
        root->tables("tenant", [&](TomlTable &table) -> Status {
            Rule rule;
            std::vector<std::string> globs;
            table.required("name").string("name", rule.tenant.name);
            table.string("parent", rule.tenant.parent);
            table.required("cgroups").strings("cgroups", globs);
            TALLY_TRY(table.finish());
            TALLY_TRY(check_name(table, "name", rule.tenant.name));
            TALLY_TRY(check_name(table, "parent", rule.tenant.parent));
            if (rule.tenant.name.empty())
                return table.error("name", "must not be empty");
            for (std::string &glob : globs) {
                if (!glob.starts_with('/'))
                    return table.error("cgroups", "\"" + printable(glob) + "\" must begin with /");
                rule.glob = std::move(glob);
                tenants.rules_.push_back(rule);
            }
            return ok();
        });
        TALLY_TRY(root->finish());
    }
    tenants.digest_ = digest.finish();
    return tenants;
}

Tenant Tenants::of(const std::string &cgroup_path) const {
    // systemd writes its escapes with backslashes: a path that is copied from it must match itself.
    constexpr int kFlags = FNM_PATHNAME | FNM_LEADING_DIR | FNM_NOESCAPE;
    for (const Rule &rule : rules_) {
        if (fnmatch(rule.glob.c_str(), cgroup_path.c_str(), kFlags) == 0)
            return rule.tenant;
    }
    return {};
}

} // namespace tally
