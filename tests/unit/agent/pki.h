// Certificates for tests, made with mbedTLS: any dates, any issuer.
#pragma once

#include <string>

namespace tally {

struct PemIdentity { // PEM
    std::string certificate;
    std::string key;
};

struct Validity { // YYYYMMDDhhmmss
    std::string from = "20200101000000";
    std::string to = "20990101000000";
};

PemIdentity make_ca(const std::string &name, const Validity &validity = {});
// A leaf for `host` (subject and dNSName), good for both ends of TLS.
PemIdentity make_leaf(const PemIdentity &ca, const std::string &host,
                      const Validity &validity = {});
std::string make_key(); // ECDSA P-256

} // namespace tally
