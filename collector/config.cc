#include "collector/config.h"

#include "base/durable.h"
#include "base/toml.h"

#include <algorithm>
#include <memory>
#include <openssl/pem.h>
#include <openssl/x509.h>

namespace tally {

namespace {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using PrivateKey = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

Certificate certificate_of(const std::string &pem) {
    Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
    return {PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), X509_free};
}

// Without a password callback OpenSSL would ask at the terminal for an encrypted key's.
int no_password(char * /*buffer*/, int /*size*/, int /*writing*/, void * /*data*/) {
    return -1;
}

PrivateKey private_key_of(const std::string &pem) {
    Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
    return {PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr), EVP_PKEY_free};
}

Status check_origin(const std::string &origin) {
    bool plain = std::all_of(origin.begin(), origin.end(),
                             [](unsigned char c) { return c > ' ' && c < 0x7f && c != '+'; });
    if (origin.empty() || !plain || origin.find("://") != std::string::npos)
        return Error{"must be a URL without its scheme and without spaces or '+', such as "
                     "log.example.com/fleet1"};
    return ok();
}

Status check_tls(const Config::Tls &files, const Keys &keys) {
    if (!certificate_of(keys.tls_ca))
        return Error{files.ca + ": not a certificate in PEM"};
    Certificate certificate = certificate_of(keys.tls_certificate);
    if (!certificate)
        return Error{files.certificate + ": not a certificate in PEM"};
    PrivateKey key = private_key_of(keys.tls_key);
    if (!key)
        return Error{files.key + ": not an unencrypted private key in PEM"};
    if (X509_check_private_key(certificate.get(), key.get()) != 1)
        return Error{files.key + ": is not the key of " + files.certificate};
    if (X509_cmp_current_time(X509_get0_notAfter(certificate.get())) <= 0)
        return Error{files.certificate + ": has expired; issue a new one"};
    if (X509_cmp_current_time(X509_get0_notBefore(certificate.get())) > 0)
        return Error{files.certificate + ": is not valid yet; check this machine's clock"};
    return ok();
}

Result<NoteSigner> log_key(const std::string &origin, const std::string &path, KeyType type,
                           const char *type_name) {
    auto pem = read_text(path);
    if (!pem)
        return pem.error();
    auto key = SigningKey::from_pem(*pem);
    if (!key)
        return Error{path + ": " + key.error().message};
    if (key->verifying_key().type() != type)
        return Error{path + ": is not an " + type_name + " key"};
    return NoteSigner{origin, *std::move(key)};
}

// A note has room for 16 signatures, and the log's own are two.
constexpr int64_t kMostWitnesses = static_cast<int64_t>(kMostSignatures) - 2;

Status read_witness(TomlTable &table, Config &config) {
    std::string url, vkey;
    TALLY_TRY(
        table.required("url").string("url", url).required("vkey").string("vkey", vkey).finish());
    if (!url.starts_with("https://") && !url.starts_with("http://"))
        return table.error("url", "must be an http or https URL, without /add-checkpoint");
    while (url.ends_with('/'))
        url.pop_back();
    auto key = parse_witness_vkey(vkey);
    if (!key)
        return table.error("vkey", key.error().message);
    for (const WitnessAddress &other : config.witnesses) {
        if (other.key.name == key->name)
            return table.error("vkey", "witness " + key->name + " is named twice");
    }
    if (static_cast<int64_t>(config.witnesses.size()) == kMostWitnesses)
        return table.error("url", "a checkpoint has room for no more witnesses");
    config.witnesses.push_back({std::move(url), *std::move(key)});
    return ok();
}

} // namespace

Result<Config> load_config(const std::string &path) {
    auto toml = TomlTable::load(path);
    if (!toml)
        return toml.error();
    Config config;
    toml->string("listen", config.listen)
        .string("state_directory", config.state_directory)
        .required("fleet_root")
        .string("fleet_root", config.fleet_root)
        .required("tls")
        .table("tls",
               [&](TomlTable &tls) {
                   return tls.required("ca")
                       .string("ca", config.tls.ca)
                       .required("certificate")
                       .string("certificate", config.tls.certificate)
                       .required("key")
                       .string("key", config.tls.key)
                       .finish();
               })
        .required("log")
        .table("log",
               [&](TomlTable &log) -> Status {
                   TALLY_TRY(
                       log.required("origin")
                           .string("origin", config.log.origin)
                           .required("ed25519_key")
                           .string("ed25519_key", config.log.ed25519_key)
                           .required("ecdsa_key")
                           .string("ecdsa_key", config.log.ecdsa_key)
                           .integer("cosignatures", config.log.cosignatures, 0, kMostWitnesses)
                           .finish());
                   if (auto status = check_origin(config.log.origin); !status)
                       return log.error("origin", status.error().message);
                   return ok();
               })
        .tables("witness", [&](TomlTable &witness) { return read_witness(witness, config); });
    TALLY_TRY(toml->finish());
    if (static_cast<size_t>(config.log.cosignatures) > config.witnesses.size())
        return Error{path + ": log.cosignatures: needs that many [[witness]] tables, there are " +
                     std::to_string(config.witnesses.size())};
    std::string_view port = std::string_view(config.listen).substr(config.listen.rfind(':') + 1);
    auto number = parse_decimal(port);
    if (config.listen.rfind(':') == std::string::npos || !number || *number > 65535)
        return toml->error("listen", "must be ADDRESS:PORT, such as 127.0.0.1:7443");
    if (config.state_directory.empty())
        return toml->error("state_directory", "must name a directory");
    return config;
}

Result<Keys> load_keys(const Config &config) {
    std::string contents[4];
    const std::string *paths[] = {&config.tls.ca, &config.tls.certificate, &config.tls.key,
                                  &config.fleet_root};
    for (size_t i = 0; i < 4; ++i) {
        auto read = read_text(*paths[i]);
        if (!read)
            return read.error();
        contents[i] = *std::move(read);
    }
    auto root = FleetRoot::from_pem(contents[3]);
    if (!root)
        return Error{config.fleet_root + ": " + root.error().message};
    Keys keys{contents[0], contents[1], contents[2], *std::move(root), {}};
    TALLY_TRY(check_tls(config.tls, keys));

    const auto &log = config.log;
    auto ed25519 = log_key(log.origin, log.ed25519_key, KeyType::kEd25519, "Ed25519");
    if (!ed25519)
        return ed25519.error();
    auto ecdsa = log_key(log.origin, log.ecdsa_key, KeyType::kEcdsaP256, "ECDSA P-256");
    if (!ecdsa)
        return ecdsa.error();
    keys.log.push_back(*std::move(ed25519));
    keys.log.push_back(*std::move(ecdsa));
    return keys;
}

} // namespace tally
