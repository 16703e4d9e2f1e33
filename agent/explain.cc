#include "agent/explain.h"

#include "agent/statement/statement.h"
#include "attest/parties.h"
#include "base/durable.h"
#include "base/text.h"

namespace tally {

namespace {

constexpr size_t kLongestPath = 4096;
constexpr size_t kLabelWidth = 12;

void add_identity(Page &page, const Identity &identity) {
    if (identity.source.empty()) {
        page.line("named by",
                  "none of the sources in [identity]: the cgroup's path is all there is");
        return;
    }
    page.line("named by",
              identity.source + (identity.origins.empty() ? ", by the path alone" : ""));
    for (const Name &name : identity.names)
        page.line("", name.key + "=" + printable(name.value));
    for (const Origin &origin : identity.origins)
        page.line("read from",
                  printable(origin.path, kLongestPath) + ", sha256 " + to_hex(origin.digest));
}

void add_rule(Page &page, const Tenant &tenant) {
    if (tenant.rule.empty())
        return;
    page.line("by rule", printable(tenant.rule, kLongestPath));
    if (tenant.digest != Digest{})
        page.line("", "file's sha256 " + to_hex(tenant.digest));
}

void add_tenant(Page &page, const Workload &workload) {
    const Tenant &tenant = workload.tenant;
    if (tenant.name.empty()) {
        page.line("tenant", "nobody: no rule matches");
        std::string names = printable(workload.cgroup_path, kLongestPath);
        for (const Name &name : workload.identity.names)
            names += ", " + name.key + "=" + printable(name.value);
        page.line("", "a rule could name it by " + names);
        return;
    }
    if (is_service_name(tenant.name)) {
        page.line("service", tenant.name.substr(kServicePrefix.size()));
        page.line("", "of the host's own: shown, and billed to nobody");
        add_rule(page, tenant);
        return;
    }
    page.line("tenant", tenant.name);
    std::string chain = tenant.parent;
    for (const std::string &payer : tenant.payers)
        chain += " through " + payer;
    page.line("through", chain.empty() ? "nobody: it pays itself" : chain);
    add_rule(page, tenant);
}

void add_disclosed(Page &page, uint64_t cgroup_id, const Workload &workload,
                   const Disclosure &disclosure) {
    page.line("privacy", std::string(privacy_name(disclosure.level())) +
                             (disclosure.level() == Privacy::kFull
                                  ? ": all of this leaves the host"
                                  : ": what leaves the host in place of these"));
    if (disclosure.level() == Privacy::kFull)
        return;
    Outgoing outgoing(disclosure);
    pb::Workload out = outgoing.workload(to_message(cgroup_id, workload, /*brief=*/false),
                                         /*brief=*/true);
    auto say = [&](const char *what, const std::string &value) {
        if (!value.empty())
            page.line("", std::string(what) + " " + value);
    };
    say("service", out.service());
    say("tenant", out.tenant());
    say("parent", out.parent());
    for (const std::string &payer : out.payers())
        say("payer", payer);
    say("cgroup", out.cgroup_path());
    for (const pb::Name &name : out.identity().names())
        say(name.key().c_str(), name.value());
    for (const pb::Origin &origin : out.identity().origins())
        say("file", origin.path());
    say("rule", out.attribution().rule());
}

} // namespace

std::string explanation(const std::string &process, uint64_t cgroup_id, const Workload &workload,
                        const Disclosure &disclosure) {
    Page page(kLabelWidth);
    page.line("process", process);
    page.line("cgroup", printable(workload.cgroup_path, kLongestPath) + " (id " +
                            std::to_string(cgroup_id) + ")");
    add_identity(page, workload.identity);
    add_tenant(page, workload);
    add_disclosed(page, cgroup_id, workload, disclosure);
    return page.text();
}

Result<std::string> explain(const std::string &pid, const Config &config) {
    auto number = parse_decimal(pid);
    if (!number || *number == 0)
        return Error{"--explain " + printable(pid) + ": give a process id"};
    auto about = [&](const Error &error) { return Error{"process " + pid + ": " + error.message}; };
    std::string directory = "/proc/" + pid;
    auto cgroup_file = read_text(directory + "/cgroup");
    if (!cgroup_file)
        return about(Error{"there is none, or it may not be looked at (" +
                           cgroup_file.error().message + ")"});
    auto path = unified_cgroup(*cgroup_file);
    if (!path)
        return about(path.error());
    auto comm = read_text(directory + "/comm");
    std::string_view name = comm ? std::string_view(*comm) : std::string_view("gone");

    auto tenants = Tenants::load(config.tenants_directory, config.tenant_names);
    if (!tenants)
        return tenants.error();
    auto disclosure = Disclosure::load(config.privacy, config.host);
    if (!disclosure)
        return disclosure.error();
    auto resolver = Resolver::open(config.sources, *std::move(tenants));
    if (!resolver)
        return Error{resolver.error().message + ": run as root"};
    auto id = resolver->id(*path);
    if (!id)
        return about(id.error());
    Workload workload = resolver->resolve(*id);
    if (workload.cgroup_path.empty())
        return about(Error{"its cgroup could not be read, or went meanwhile (CAP_DAC_READ_SEARCH "
                           "is needed: run as root)"});
    return explanation(pid + " (" + printable(take_until(name, '\n')) + ")", *id, workload,
                       *disclosure);
}

} // namespace tally
