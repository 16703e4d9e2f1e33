#include "agent/statement/signer.h"

#include "attest/dsse.h"
#include "base/durable.h"

#include <cstring>
#include <mbedtls/x509_crt.h>
#include <strings.h>

namespace tally {

namespace {

struct Certificate {
    mbedtls_x509_crt parsed;
    Certificate() { mbedtls_x509_crt_init(&parsed); }
    ~Certificate() { mbedtls_x509_crt_free(&parsed); }
    Certificate(const Certificate &) = delete;
    Certificate &operator=(const Certificate &) = delete;
};

bool names_host(const mbedtls_x509_crt &certificate, const std::string &host) {
    for (const auto *name = &certificate.subject_alt_names; name != nullptr; name = name->next) {
        if ((name->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK) == MBEDTLS_X509_SAN_DNS_NAME &&
            name->buf.len == host.size() &&
            strncasecmp(reinterpret_cast<const char *>(name->buf.p), host.data(), host.size()) == 0)
            return true;
    }
    return false;
}

} // namespace

Result<Signer> Signer::load(const std::string &key_file, const std::string &certificate_file,
                            const std::string &host, const std::string &boot_id) {
    auto key_pem = read_text(key_file);
    if (!key_pem)
        return Error{"signing key: " + key_pem.error().message};
    auto key = SigningKey::from_pem(*key_pem);
    if (!key)
        return Error{"signing key " + key_file + ": " + key.error().message};

    auto pem = read_text(certificate_file);
    if (!pem)
        return Error{"signing certificate: " + pem.error().message};
    Certificate certificate;
    // mbedTLS takes PEM only with its final zero byte counted.
    if (mbedtls_x509_crt_parse(&certificate.parsed,
                               reinterpret_cast<const unsigned char *>(pem->c_str()),
                               pem->size() + 1) != 0)
        return Error{"signing certificate " + certificate_file + ": not a PEM certificate"};
    std::string place = "signing certificate " + certificate_file + ": ";
    ByteView spki(certificate.parsed.pk_raw.p, certificate.parsed.pk_raw.len);
    if (!equal(spki, key->verifying_key().spki()))
        return Error{place + "is not for the key in " + key_file};
    if (!names_host(certificate.parsed, host))
        return Error{place + "does not name host " + host};
    if (mbedtls_x509_time_is_past(&certificate.parsed.valid_to) != 0)
        return Error{place + "has expired"};
    if (mbedtls_x509_time_is_future(&certificate.parsed.valid_from) != 0)
        return Error{place + "is not valid yet; is the clock right?"};
    Bytes der = to_bytes({certificate.parsed.raw.p, certificate.parsed.raw.len});
    Signer signer(std::move(*key), std::move(der), boot_id);
    signer.head_.host = host;
    return signer;
}

Status Signer::resume(ByteView last_attestation, const std::set<uint32_t> &devices) {
    auto envelope = dsse_open(last_attestation);
    if (!envelope)
        return envelope.error();
    if (!dsse_verify(*envelope, key_.verifying_key()))
        return Error{"the last attestation was not signed with this signing key; a new key needs a "
                     "new state directory and host name, or the old key back"};
    pb::Statement statement;
    if (!statement.ParseFromArray(envelope->payload.data(),
                                  static_cast<int>(envelope->payload.size())))
        return Error{"the last attestation holds no statement"};
    if (statement.host() != head_.host)
        return Error{"the last attestation is of host " + printable(statement.host()) +
                     ", the configuration says " + head_.host};
    head_.devices = devices;
    accept(statement, last_attestation); // its own inventory, if it brings one, counts
    return ok();
}

Result<Bytes> Signer::seal(pb::Statement &statement) const {
    statement.set_host(head_.host);
    statement.set_boot_id(boot_id_);
    statement.set_sequence(head_.sequence + 1);
    if (head_.sequence > 0)
        statement.set_previous(head_.digest.data(), head_.digest.size());
    auto breach = check_statement(statement);
    if (!breach)
        breach = check_follows(head_, statement);
    if (breach)
        return Error{"statement " + std::to_string(statement.sequence()) +
                     " breaks a rule of evidence: " + breach->reason};
    std::string body = statement.SerializeAsString();
    return dsse_seal(view(body), key_);
}

void Signer::accept(const pb::Statement &statement, ByteView attestation) {
    advance(head_, statement, sha256(attestation));
}

} // namespace tally
