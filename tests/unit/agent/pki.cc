#include "tests/unit/agent/pki.h"

#include "base/bytes.h"

#include <array>
#include <gtest/gtest.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/ecp.h>
#include <mbedtls/entropy.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>

namespace tally {

namespace {

void must(int code) {
    ASSERT_GE(code, 0) << "mbedTLS -0x" << std::hex << -code;
}

struct Random {
    Random() {
        mbedtls_entropy_init(&entropy);
        mbedtls_ctr_drbg_init(&drbg);
        must(mbedtls_ctr_drbg_seed(&drbg, mbedtls_entropy_func, &entropy, nullptr, 0));
    }
    ~Random() {
        mbedtls_ctr_drbg_free(&drbg);
        mbedtls_entropy_free(&entropy);
    }
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context drbg;
};

struct Key {
    Key() { mbedtls_pk_init(&pk); }
    explicit Key(const std::string &pem) : Key() {
        must(mbedtls_pk_parse_key(&pk, reinterpret_cast<const unsigned char *>(pem.c_str()),
                                  pem.size() + 1, nullptr, 0));
    }
    ~Key() { mbedtls_pk_free(&pk); }
    mbedtls_pk_context pk;
};

// Self-signed if `issuer` is the subject itself.
std::string make_certificate(const std::string &subject, const Key &key, const std::string &issuer,
                             const Key &issuer_key, bool is_ca, const Validity &validity) {
    Random random;
    mbedtls_mpi serial;
    mbedtls_mpi_init(&serial);
    must(mbedtls_mpi_fill_random(&serial, 8, mbedtls_ctr_drbg_random, &random.drbg));

    mbedtls_x509write_cert writer;
    mbedtls_x509write_crt_init(&writer);
    mbedtls_x509write_crt_set_version(&writer, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&writer, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&writer, const_cast<mbedtls_pk_context *>(&key.pk));
    mbedtls_x509write_crt_set_issuer_key(&writer, const_cast<mbedtls_pk_context *>(&issuer_key.pk));
    must(mbedtls_x509write_crt_set_subject_name(&writer, ("CN=" + subject).c_str()));
    must(mbedtls_x509write_crt_set_issuer_name(&writer, ("CN=" + issuer).c_str()));
    must(mbedtls_x509write_crt_set_serial(&writer, &serial));
    must(mbedtls_x509write_crt_set_validity(&writer, validity.from.c_str(), validity.to.c_str()));
    must(mbedtls_x509write_crt_set_basic_constraints(&writer, is_ca ? 1 : 0, -1));
    must(mbedtls_x509write_crt_set_key_usage(&writer, is_ca ? MBEDTLS_X509_KU_KEY_CERT_SIGN
                                                            : MBEDTLS_X509_KU_DIGITAL_SIGNATURE));
    if (!is_ca) { // SubjectAltName ::= SEQUENCE OF { [2] dNSName }
        auto size = static_cast<uint8_t>(subject.size());
        Bytes san = {0x30, static_cast<uint8_t>(size + 2), 0x82, size};
        append(san, view(subject));
        must(mbedtls_x509write_crt_set_extension(&writer, MBEDTLS_OID_SUBJECT_ALT_NAME,
                                                 MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME), 0,
                                                 san.data(), san.size()));
    }
    std::array<unsigned char, 4096> pem = {};
    must(mbedtls_x509write_crt_pem(&writer, pem.data(), pem.size(), mbedtls_ctr_drbg_random,
                                   &random.drbg));
    mbedtls_x509write_crt_free(&writer);
    mbedtls_mpi_free(&serial);
    return reinterpret_cast<const char *>(pem.data());
}

} // namespace

std::string make_key() {
    Random random;
    Key key;
    must(mbedtls_pk_setup(&key.pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)));
    must(mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(key.pk),
                             mbedtls_ctr_drbg_random, &random.drbg));
    std::array<unsigned char, 2048> pem = {};
    must(mbedtls_pk_write_key_pem(&key.pk, pem.data(), pem.size()));
    return reinterpret_cast<const char *>(pem.data());
}

PemIdentity make_ca(const std::string &name, const Validity &validity) {
    std::string pem = make_key();
    Key key(pem);
    return {make_certificate(name, key, name, key, true, validity), pem};
}

PemIdentity make_leaf(const PemIdentity &ca, const std::string &host, const Validity &validity) {
    mbedtls_x509_crt issuer;
    mbedtls_x509_crt_init(&issuer);
    must(mbedtls_x509_crt_parse(&issuer,
                                reinterpret_cast<const unsigned char *>(ca.certificate.c_str()),
                                ca.certificate.size() + 1));
    std::string issuer_name(reinterpret_cast<const char *>(issuer.subject.val.p),
                            issuer.subject.val.len);
    mbedtls_x509_crt_free(&issuer);
    std::string pem = make_key();
    return {make_certificate(host, Key(pem), issuer_name, Key(ca.key), false, validity), pem};
}

} // namespace tally
