// tallyd.toml. config/tallyd.toml shows every key with its default and meaning.
#pragma once

#include "agent/identity/source.h"
#include "agent/record/devices.h"
#include "agent/record/recorder.h"
#include "agent/statement/disclosure.h"
#include "agent/work/works.h"
#include "attest/crypto.h"
#include "base/result.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tally {

struct Config {
    std::string host; // default: this machine's name
    std::string state_directory = "/var/lib/tallystick";
    std::string tenants_directory = "/etc/tallystick/tenants.d";
    int64_t window_seconds = 10;
    int64_t idle_window_seconds = 60;
    int64_t scan_seconds = 1;
    int64_t spool_megabytes = 256;
    RecorderConfig recorder;
    std::vector<std::string> sources = source_names(); // of identities, in the order they are asked
    std::vector<std::string> work_sources = default_work_sources();
    std::vector<std::string>
        tenant_names; // keys of names that are a tenant's, if no rule says more

    PrivacyConfig privacy;

    std::string signing_key;
    std::string signing_certificate;

    std::string collector_address; // host:port
    std::string collector_name;    // expected in its certificate; default: the address's host
    std::string fleet_ca;
    std::string tls_certificate;
    std::string tls_key;
    std::string log_keys; // vkeys, attest/checkpoint.h

    std::vector<ConfiguredDevice> devices;

    Digest digest{}; // SHA-256 of the file as read
};

Result<Config> load_config(const std::string &path);

// "auto" or a rung's name (attest/rungs.h); an error names what was given.
Result<std::optional<pb::Rung>> parse_rung(const std::string &name);

} // namespace tally
