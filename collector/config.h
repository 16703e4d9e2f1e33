// The collector's configuration (config/collector.toml) and the keys and certificates it names,
// read and checked before anything else happens. Errors name file and line, or the file that is
// wrong.
#pragma once

#include "attest/admit.h"
#include "attest/checkpoint.h"
#include "collector/witnesses.h"

#include <string>
#include <vector>

namespace tally {

struct Config {
    std::string listen = "127.0.0.1:7443"; // ADDRESS:PORT; port 0: any free one
    std::string state_directory = "/var/lib/tally-collector";
    std::string fleet_root; // CA of statement-signing certificates, PEM
    struct Tls {
        std::string ca; // of the hosts' TLS certificates, PEM
        std::string certificate;
        std::string key;
    } tls;
    struct Log {
        std::string origin; // schema-less URL: "log.example.com/fleet1"
        std::string ed25519_key;
        std::string ecdsa_key;
        int64_t cosignatures = 0; // that a receipt's checkpoint must carry
    } log;
    std::vector<WitnessAddress> witnesses;
};

Result<Config> load_config(const std::string &path);

struct Keys {
    std::string tls_ca; // PEM
    std::string tls_certificate;
    std::string tls_key;
    FleetRoot fleet_root;
    std::vector<NoteSigner> log; // Ed25519, then ECDSA
};

// Reads every file the configuration names. Refuses a key that is not its certificate's, an expired
// TLS certificate, a log key of the wrong type.
Result<Keys> load_keys(const Config &config);

} // namespace tally
