#include "agent/config.h"

#include "base/durable.h"
#include "base/toml.h"

#include <algorithm>
#include <unistd.h>

namespace tally {

namespace {

std::string machine_name() {
    char name[256] = {};
    if (gethostname(name, sizeof(name) - 1) != 0)
        return {};
    return name;
}

Status read_signing(TomlTable &table, Config &config) {
    table.required("key").string("key", config.signing_key);
    table.required("certificate").string("certificate", config.signing_certificate);
    return table.finish();
}

Status read_collector(TomlTable &table, Config &config) {
    table.required("address").string("address", config.collector_address);
    table.string("name", config.collector_name);
    table.required("ca").string("ca", config.fleet_ca);
    table.required("certificate").string("certificate", config.tls_certificate);
    table.required("key").string("key", config.tls_key);
    table.required("log_keys").string("log_keys", config.log_keys);
    TALLY_TRY(table.finish());
    size_t colon = config.collector_address.rfind(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == config.collector_address.size())
        return table.error("address", "must be HOST:PORT");
    if (config.collector_name.empty())
        config.collector_name = config.collector_address.substr(0, colon);
    return ok();
}

Status read_recording(TomlTable &table, Config &config) {
    std::string hooks = "auto";
    int64_t usage = config.recorder.usage_capacity;
    int64_t holders = config.recorder.holder_capacity;
    table.string("hooks", hooks);
    table.integer("scan_seconds", config.scan_seconds, 1, 60);
    table.integer("usage_entries", usage, 16, 1'000'000);
    table.integer("holder_entries", holders, 16, 1'000'000);
    table.string("pins", config.recorder.pins);
    TALLY_TRY(table.finish());
    auto rung = parse_rung(hooks);
    if (!rung)
        return table.error("hooks", rung.error().message);
    if (!config.recorder.pins.starts_with('/'))
        return table.error("pins", "must be a directory such as /sys/fs/bpf/tallystick");
    config.recorder.rung = *rung;
    config.recorder.usage_capacity = static_cast<uint32_t>(usage);
    config.recorder.holder_capacity = static_cast<uint32_t>(holders);
    return ok();
}

Status read_device(TomlTable &table, Config &config) {
    ConfiguredDevice device;
    table.required("name").string("name", device.name);
    table.required("node").string("node", device.node);
    TALLY_TRY(table.finish());
    if (device.name.empty() || device.name.size() > 64 || printable(device.name) != device.name)
        return table.error("name", "must be 1 to 64 printable characters");
    if (!device.node.starts_with('/'))
        return table.error("node", "must be a path such as /dev/NAME");
    config.devices.push_back(std::move(device));
    return ok();
}

Status check_tenant_names(const TomlTable &table, const std::vector<std::string> &names) {
    for (const std::string &key : names) {
        if (key.empty() || key.size() > 64 || printable(key) != key ||
            key.find_first_of("=/ ") != std::string::npos)
            return table.error("tenant_names", "\"" + printable(key) +
                                                   "\" is no key of a name, such as "
                                                   "openstack.project");
    }
    return ok();
}

// [identity] or [work]: which of the built-in sources are asked, in this order.
Status read_sources(TomlTable &table, const std::vector<std::string> &built_in,
                    bool (*is_source)(const std::string &), std::vector<std::string> &sources) {
    table.strings("sources", sources);
    TALLY_TRY(table.finish());
    for (const std::string &name : sources) {
        if (is_source(name))
            continue;
        std::string known;
        for (const std::string &each : built_in)
            known += (known.empty() ? "" : ", ") + each;
        return table.error("sources", "\"" + printable(name) + "\" is none of " + known);
    }
    return ok();
}

Status read_privacy(TomlTable &table, Config &config) {
    std::string level = privacy_name(config.privacy.level);
    table.string("level", level);
    table.string("join_key", config.privacy.join_key);
    table.string("auditor_key", config.privacy.auditor_key);
    TALLY_TRY(table.finish());
    auto parsed = parse_privacy(level);
    if (!parsed)
        return table.error("level", parsed.error().message);
    config.privacy.level = *parsed;
    if (*parsed != Privacy::kFull && config.privacy.join_key.empty())
        return table.error("level", level + " needs join_key, the file of the fleet's join key");
    if (*parsed == Privacy::kSealed && config.privacy.auditor_key.empty())
        return table.error("level", level + " needs auditor_key, the file of its public key");
    return ok();
}

} // namespace

Result<std::optional<pb::Rung>> parse_rung(const std::string &name) {
    if (name == "auto")
        return std::optional<pb::Rung>();
    if (auto rung = rung_named(name))
        return rung;
    return Error{"\"" + printable(name) + "\" must be auto, exact, kprobe, traced or scanned"};
}

Result<Config> load_config(const std::string &path) {
    auto contents = read_text(path);
    if (!contents)
        return contents.error();
    auto root = TomlTable::parse(*contents, path);
    if (!root)
        return root.error();
    Config config;
    config.digest = sha256(view(*contents));
    config.host = machine_name();
    root->string("host", config.host);
    root->string("state_directory", config.state_directory);
    root->string("tenants_directory", config.tenants_directory);
    root->integer("window_seconds", config.window_seconds, 1, 3600);
    root->integer("idle_window_seconds", config.idle_window_seconds, 1, 600);
    root->integer("spool_megabytes", config.spool_megabytes, 1, 1'000'000);
    root->table("recording", [&](TomlTable &table) { return read_recording(table, config); });
    root->table("identity", [&](TomlTable &table) -> Status {
        table.strings("tenant_names", config.tenant_names);
        TALLY_TRY(read_sources(
            table, source_names(),
            [](const std::string &name) { return make_source(name) != nullptr; }, config.sources));
        return check_tenant_names(table, config.tenant_names);
    });
    root->table("work", [&](TomlTable &table) {
        return read_sources(
            table, work_source_names(),
            [](const std::string &name) {
                const auto &names = work_source_names();
                return std::find(names.begin(), names.end(), name) != names.end();
            },
            config.work_sources);
    });
    root->table("privacy", [&](TomlTable &table) { return read_privacy(table, config); });
    root->required("signing").table("signing",
                                    [&](TomlTable &table) { return read_signing(table, config); });
    root->required("collector").table("collector", [&](TomlTable &table) {
        return read_collector(table, config);
    });
    root->tables("device", [&](TomlTable &table) { return read_device(table, config); });
    TALLY_TRY(root->finish());
    if (config.host.empty() || config.host.size() > 253 || printable(config.host) != config.host)
        return root->error("host", "must be the DNS name in the host's certificates");
    return config;
}

} // namespace tally
