#include "agent/uplink/tls_state.h"

#include "base/durable.h"

#include <cstdio>
#include <mbedtls/error.h>

namespace tally {

namespace {

// ECDHE and AES-GCM or ChaCha20-Poly1305.
const int kCipherSuites[] = {MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                             MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
                             MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
                             MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
                             MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
                             MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
                             0};
const char *kProtocols[] = {"h2", nullptr};

// mbedTLS reads PEM only with its terminating zero counted.
const unsigned char *c_bytes(const std::string &pem) {
    return reinterpret_cast<const unsigned char *>(pem.c_str());
}

std::string date_text(const mbedtls_x509_time &time) {
    char text[64];
    snprintf(text, sizeof(text), "%04d-%02d-%02d %02d:%02d:%02d UTC", time.year, time.mon, time.day,
             time.hour, time.min, time.sec);
    return text;
}

Status load_certificates(const std::string &path, const char *what, mbedtls_x509_crt &into) {
    auto pem = read_text(path);
    if (!pem)
        return Error{std::string(what) + ": " + pem.error().message};
    int failed = mbedtls_x509_crt_parse(&into, c_bytes(*pem), pem->size() + 1);
    if (failed > 0)
        return Error{std::string(what) + " " + path + ": " + std::to_string(failed) +
                     " of its certificates cannot be read"};
    if (failed < 0)
        return Error{std::string(what) + " " + path +
                     ": not a PEM certificate: " + mbedtls_reason(failed)};
    return ok();
}

Status check_dates(const std::string &path, const char *what, const mbedtls_x509_crt &one) {
    if (mbedtls_x509_time_is_past(&one.valid_to) != 0)
        return Error{std::string(what) + " " + path + ": expired on " + date_text(one.valid_to) +
                     "; renew it"};
    if (mbedtls_x509_time_is_future(&one.valid_from) != 0)
        return Error{std::string(what) + " " + path + ": not valid before " +
                     date_text(one.valid_from) + "; is this machine's clock right?"};
    return ok();
}

// A CA file may hold several certificates, old beside new: one that is valid today is enough.
Status check_ca_dates(const std::string &path, const mbedtls_x509_crt &first) {
    for (const mbedtls_x509_crt *each = &first; each != nullptr; each = each->next)
        if (check_dates(path, "fleet CA", *each))
            return ok();
    return check_dates(path, "fleet CA", first);
}

} // namespace

std::string mbedtls_reason(int code) {
    char text[160];
    mbedtls_strerror(code, text, sizeof(text));
    return text;
}

TlsContext::State::State() {
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&random);
    mbedtls_x509_crt_init(&ca);
    mbedtls_x509_crt_init(&certificate);
    mbedtls_pk_init(&key);
    mbedtls_ssl_config_init(&config);
}

TlsContext::State::~State() {
    mbedtls_ssl_config_free(&config);
    mbedtls_pk_free(&key);
    mbedtls_x509_crt_free(&certificate);
    mbedtls_x509_crt_free(&ca);
    mbedtls_ctr_drbg_free(&random);
    mbedtls_entropy_free(&entropy);
}

Result<TlsContext> TlsContext::load(const TlsFiles &files) {
    auto state = std::make_unique<State>();
    TALLY_TRY(load_certificates(files.ca, "fleet CA", state->ca));
    TALLY_TRY(check_ca_dates(files.ca, state->ca));

    // The leaf comes first; what follows it is sent along and not judged here.
    TALLY_TRY(load_certificates(files.certificate, "TLS certificate", state->certificate));
    TALLY_TRY(check_dates(files.certificate, "TLS certificate", state->certificate));

    auto pem = read_text(files.key);
    if (!pem)
        return Error{"TLS key: " + pem.error().message};
    int code = mbedtls_pk_parse_key(&state->key, c_bytes(*pem), pem->size() + 1, nullptr, 0);
    if (code != 0)
        return Error{"TLS key " + files.key + ": not a PEM private key: " + mbedtls_reason(code)};
    if (mbedtls_pk_check_pair(&state->certificate.pk, &state->key) != 0)
        return Error{"TLS key " + files.key + " is not the key of certificate " +
                     files.certificate};

    mbedtls_ssl_config &config = state->config;
    code = mbedtls_ctr_drbg_seed(&state->random, mbedtls_entropy_func, &state->entropy, nullptr, 0);
    if (code == 0)
        code =
            mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT,
                                        MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (code == 0)
        code = mbedtls_ssl_conf_own_cert(&config, &state->certificate, &state->key);
    if (code == 0)
        code = mbedtls_ssl_conf_alpn_protocols(&config, kProtocols);
    if (code != 0)
        return Error{"TLS cannot be set up: " + mbedtls_reason(code)};
    mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &state->random);
    mbedtls_ssl_conf_min_version(&config, MBEDTLS_SSL_MAJOR_VERSION_3,
                                 MBEDTLS_SSL_MINOR_VERSION_3); // TLS 1.2
    mbedtls_ssl_conf_ciphersuites(&config, kCipherSuites);
    mbedtls_ssl_conf_ca_chain(&config, &state->ca, nullptr);
    mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_REQUIRED);
    return TlsContext(std::move(state));
}

TlsContext::TlsContext(std::unique_ptr<State> state) : state_(std::move(state)) {
}
TlsContext::TlsContext(TlsContext &&) noexcept = default;
TlsContext &TlsContext::operator=(TlsContext &&) noexcept = default;
TlsContext::~TlsContext() = default;

} // namespace tally
