// What tls.cc and tls_context.cc share: the context's mbedTLS objects, freed in reverse order.
#pragma once

#include "agent/uplink/tls.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>

namespace tally {

struct TlsContext::State {
    State();
    ~State();
    State(const State &) = delete;
    State &operator=(const State &) = delete;

    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    mbedtls_x509_crt ca;
    mbedtls_x509_crt certificate;
    mbedtls_pk_context key;
    mbedtls_ssl_config config;
};

std::string mbedtls_reason(int code);

} // namespace tally
