#include "audit/keys.h"

#include "attest/admit.h"
#include "attest/checkpoint.h"
#include "attest/names.h"
#include "audit/certificate.h"
#include "base/durable.h"

#include <algorithm>
#include <filesystem>

namespace tally {

namespace {

constexpr int64_t kHour = 3600;
constexpr int64_t kLifetime = kHour * 24 * 30;
constexpr const char *kLeaf = "critical,CA:FALSE";
constexpr const char *kSigns = "critical,digitalSignature";

// Letters, digits, hyphens and dots: the name becomes a directory and part of an extension.
bool is_dns_name(const std::string &name) {
    auto is_allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '.';
    };
    return !name.empty() && name.size() <= 253 && name.front() != '.' && name.front() != '-' &&
           name.find("..") == std::string::npos &&
           std::all_of(name.begin(), name.end(), is_allowed);
}

// Also one part of a vkey line, so neither space nor plus.
bool is_origin(const std::string &origin) {
    return !origin.empty() && origin.size() <= 256 && printable(origin) == origin &&
           origin.find_first_of(" +") == std::string::npos;
}

Status check(const Fleet &fleet) {
    std::vector<std::string> names = fleet.hosts;
    names.push_back(fleet.collector);
    names.push_back(fleet.auditor);
    for (const std::string &name : names) {
        if (!is_dns_name(name))
            return Error{"\"" + printable(name) +
                         "\" is not a DNS name: use letters, digits, hyphens and dots"};
    }
    if (!is_origin(fleet.origin))
        return Error{"origin \"" + printable(fleet.origin) +
                     "\": use a URL without scheme, spaces or plus signs"};
    std::string ca_key = fleet.directory + "/fleet-ca.key";
    std::error_code ignored;
    if (std::filesystem::exists(std::filesystem::symlink_status(ca_key, ignored)))
        return Error{ca_key + " exists: remove the directory or name another"};
    return ok();
}

Status write_pair(const std::string &stem, const Result<Certificate> &certificate,
                  const PrivateKey &key) {
    if (!certificate)
        return certificate.error();
    TALLY_TRY(replace_file(stem + ".key", view(to_pem(key)), 0600));
    return replace_file(stem + ".pem", view(to_pem(*certificate)));
}

class Authority {
public:
    static Result<Authority> make(const Fleet &fleet) {
        auto key = generate_p256();
        if (!key)
            return key.error();
        Profile profile;
        profile.name = "Tallystick demo fleet (not for production)";
        profile.basic_constraints = "critical,CA:TRUE";
        profile.key_usage = "critical,keyCertSign";
        profile.begin_seconds = -kLifetime - 2 * kHour; // before any leaf, expired ones too
        profile.end_seconds = kLifetime;
        auto certificate = certify(profile, *key, *key);
        TALLY_TRY(write_pair(fleet.directory + "/fleet-ca", certificate, *key));
        return Authority(*std::move(key), *std::move(certificate), fleet.expired);
    }

    // A new key and a certificate for it, as STEM.key and STEM.pem.
    Status issue(const std::string &stem, const std::string &name, const std::string &usage) const {
        auto key = generate_p256();
        if (!key)
            return key.error();
        Profile profile;
        profile.name = name;
        profile.basic_constraints = kLeaf;
        profile.key_usage = kSigns;
        profile.extended_key_usage = usage;
        profile.alternative_names = "DNS:" + name + (name == "localhost" ? ",IP:127.0.0.1" : "");
        profile.begin_seconds = expired_ ? -kLifetime - kHour : -kHour;
        profile.end_seconds = profile.begin_seconds + kLifetime;
        return write_pair(stem, certify(profile, *key, key_, certificate_.get()), *key);
    }

private:
    Authority(PrivateKey key, Certificate certificate, bool expired)
        : key_(std::move(key)), certificate_(std::move(certificate)), expired_(expired) {}

    PrivateKey key_;
    Certificate certificate_;
    bool expired_;
};

// Writes the key and returns its vkey line.
Result<std::string> make_log_key(const std::string &path, Result<PrivateKey> key,
                                 const std::string &origin) {
    if (!key)
        return key.error();
    std::string pem = to_pem(*key);
    TALLY_TRY(replace_file(path, view(pem), 0600));
    auto signing = SigningKey::from_pem(pem);
    if (!signing)
        return Error{path + ": " + signing.error().message};
    return to_vkey(note_key(origin, signing->verifying_key())) + "\n";
}

Status make_log_keys(const Fleet &fleet) {
    std::string directory = fleet.directory + "/log";
    TALLY_TRY(make_directories(directory));
    auto ed25519 = make_log_key(directory + "/ed25519.key", generate_ed25519(), fleet.origin);
    if (!ed25519)
        return ed25519.error();
    auto ecdsa = make_log_key(directory + "/ecdsa.key", generate_p256(), fleet.origin);
    if (!ecdsa)
        return ecdsa.error();
    return replace_file(fleet.directory + "/log.vkeys", view(*ed25519 + *ecdsa));
}

// For [privacy] of tallyd.toml.
Status make_sealing_keys(const Fleet &fleet) {
    std::string directory = fleet.directory + "/auditor";
    TALLY_TRY(make_directories(directory));
    auto key = generate_p256();
    if (!key)
        return key.error();
    TALLY_TRY(replace_file(directory + "/sealing.key", view(to_pem(*key)), 0600));
    TALLY_TRY(replace_file(directory + "/sealing.pem", view(to_public_pem(*key))));
    auto join = random_bytes(kJoinKeySize);
    if (!join)
        return join.error();
    return replace_file(fleet.directory + "/join.key", view(to_hex(*join) + "\n"), 0600);
}

} // namespace

Status make_fleet(const Fleet &fleet) {
    TALLY_TRY(check(fleet));
    TALLY_TRY(make_directories(fleet.directory));
    auto authority = Authority::make(fleet);
    if (!authority)
        return authority.error();
    TALLY_TRY(make_directories(fleet.directory + "/collector"));
    TALLY_TRY(authority->issue(fleet.directory + "/collector/tls", fleet.collector, "serverAuth"));
    for (const std::string &host : fleet.hosts) {
        std::string directory = fleet.directory + "/hosts/" + host;
        TALLY_TRY(make_directories(directory));
        TALLY_TRY(authority->issue(directory + "/tls", host, "clientAuth"));
        TALLY_TRY(authority->issue(directory + "/signing", host,
                                   "critical," + std::string(kStatementSigningOid)));
    }
    TALLY_TRY(make_directories(fleet.directory + "/auditor"));
    TALLY_TRY(authority->issue(fleet.directory + "/auditor/tls", fleet.auditor, "clientAuth"));
    TALLY_TRY(authority->issue(fleet.directory + "/auditor/signing", fleet.auditor,
                               "critical," + std::string(kExplanationSigningOid)));
    TALLY_TRY(make_sealing_keys(fleet));
    return make_log_keys(fleet);
}

} // namespace tally
