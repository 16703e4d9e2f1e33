#include "attest/admit.h"

#include "attest/openssl_free.h"

#include <algorithm>
#include <ctime>
#include <limits>
#include <map>
#include <mutex>
#include <openssl/asn1.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <strings.h>

namespace tally {

namespace {

using Certificate = std::unique_ptr<X509, FreeBy<X509_free>>;
using Store = std::unique_ptr<X509_STORE, FreeBy<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, FreeBy<X509_STORE_CTX_free>>;
using Names = std::unique_ptr<GENERAL_NAMES, FreeBy<GENERAL_NAMES_free>>;
using KeyUsages = std::unique_ptr<EXTENDED_KEY_USAGE, FreeBy<EXTENDED_KEY_USAGE_free>>;
using Object = std::unique_ptr<ASN1_OBJECT, FreeBy<ASN1_OBJECT_free>>;

using Signs = FleetRoot::Signs;

bool has_usage(const EXTENDED_KEY_USAGE *usages, const char *oid) {
    Object wanted(OBJ_txt2obj(oid, /*no_name=*/1));
    for (int i = 0; i < sk_ASN1_OBJECT_num(usages); i++) {
        if (OBJ_cmp(sk_ASN1_OBJECT_value(usages, i), wanted.get()) == 0)
            return true;
    }
    return false;
}

bool may_sign(X509 *certificate, Signs what) {
    if ((X509_get_key_usage(certificate) & KU_DIGITAL_SIGNATURE) == 0)
        return false;
    KeyUsages usages(static_cast<EXTENDED_KEY_USAGE *>(
        X509_get_ext_d2i(certificate, NID_ext_key_usage, nullptr, nullptr)));
    bool statements = usages && has_usage(usages.get(), kStatementSigningOid);
    bool explanations = usages && has_usage(usages.get(), kExplanationSigningOid);
    return statements != explanations && statements == (what == Signs::kStatements);
}

std::vector<std::string> dns_names(X509 *certificate) {
    std::vector<std::string> found;
    Names names(static_cast<GENERAL_NAMES *>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type != GEN_DNS)
            continue;
        const auto *data = reinterpret_cast<const char *>(ASN1_STRING_get0_data(name->d.dNSName));
        found.emplace_back(data, static_cast<size_t>(ASN1_STRING_length(name->d.dNSName)));
    }
    return found;
}

bool names_host(const std::vector<std::string> &names, const std::string &host) {
    return std::any_of(names.begin(), names.end(), [&](const std::string &name) {
        return name.size() == host.size() && strcasecmp(name.c_str(), host.c_str()) == 0;
    });
}

Breach bad_certificate(std::string reason) {
    return {pb::Refusal::CODE_BAD_CERTIFICATE, std::move(reason)};
}

// Whose signature an attestation must carry: the certificate's key, or the one known already.
std::variant<KeyCache::Known, Breach> signer_of(const pb::Statement &statement, ByteView known_key,
                                                const FleetRoot &root) {
    if (!statement.certificate().empty()) {
        auto certified = certified_key(statement, root);
        const auto *known = std::get_if<KeyCache::Known>(&certified);
        if (known != nullptr && !known_key.empty() && !equal(known_key, known->key.spki()))
            return bad_certificate("signing certificate has another key than the chain so far");
        return certified;
    }
    if (known_key.empty())
        return bad_certificate("the first statement of a chain must bring the signing certificate");
    auto known = root.keys().get(known_key);
    if (!known)
        return bad_certificate("known signing key: " + known.error().message);
    return *std::move(known);
}

// A thousand busy hosts' keys and room to spare; about 3 KiB each.
constexpr size_t kKeptKeys = 4096;

// In seconds: all certificates of a chain are valid within.
struct Validity {
    time_t from = std::numeric_limits<time_t>::min();
    time_t to = std::numeric_limits<time_t>::max();
};

time_t seconds_of(const ASN1_TIME *time) {
    tm parts{};
    return ASN1_TIME_to_tm(time, &parts) == 1 ? timegm(&parts) : 0;
}

Validity validity_of(X509_STORE_CTX *verified) {
    Validity validity;
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(verified);
    for (int i = 0; i < sk_X509_num(chain); i++) {
        const X509 *link = sk_X509_value(chain, i);
        validity.from = std::max(validity.from, seconds_of(X509_get0_notBefore(link)));
        validity.to = std::min(validity.to, seconds_of(X509_get0_notAfter(link)));
    }
    return validity;
}

} // namespace

struct FleetRoot::Impl {
    Store store;
    KeyCache keys{kKeptKeys};

    // Certificates that were good, and when: to judge one costs as much as three signatures, and a
    // host brings the same one every hour.
    struct Good {
        Signer signer;
        Validity validity;
    };
    std::mutex mutex;
    std::map<std::pair<Bytes, Signs>, Good> good;
};

KeyCache &FleetRoot::keys() const {
    return impl_->keys;
}

FleetRoot::FleetRoot(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
}
FleetRoot::FleetRoot(FleetRoot &&) noexcept = default;
FleetRoot &FleetRoot::operator=(FleetRoot &&) noexcept = default;
FleetRoot::~FleetRoot() = default;

Result<FleetRoot> FleetRoot::from_pem(const std::string &pem) {
    std::unique_ptr<BIO, FreeBy<BIO_free>> input(
        BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    Store store(X509_STORE_new());
    size_t count = 0;
    for (;; count++) {
        Certificate certificate(PEM_read_bio_X509(input.get(), nullptr, nullptr, nullptr));
        if (!certificate)
            break;
        if (X509_check_ca(certificate.get()) != 1)
            return Error{"certificate " + std::to_string(count + 1) + " is not a CA's"};
        X509_STORE_add_cert(store.get(), certificate.get());
    }
    if (count == 0)
        return Error{"holds no PEM certificate"};
    auto impl = std::make_unique<Impl>();
    impl->store = std::move(store);
    return FleetRoot(std::move(impl));
}

Result<FleetRoot::Signer> FleetRoot::check(ByteView certificate, uint64_t wall_ns,
                                           Signs what) const {
    auto when = static_cast<time_t>(wall_ns / 1'000'000'000);
    std::pair name(to_bytes(certificate), what);
    {
        std::lock_guard lock(impl_->mutex);
        auto known = impl_->good.find(name);
        // At the very ends of its time it is judged anew.
        if (known != impl_->good.end() && known->second.validity.from < when &&
            when < known->second.validity.to)
            return known->second.signer;
    }
    const unsigned char *at = certificate.data();
    Certificate parsed(d2i_X509(nullptr, &at, static_cast<long>(certificate.size())));
    if (!parsed || at != certificate.data() + certificate.size())
        return Error{"is not a DER certificate"};
    StoreContext context(X509_STORE_CTX_new());
    X509_STORE_CTX_init(context.get(), impl_->store.get(), parsed.get(), nullptr);
    X509_STORE_CTX_set_time(context.get(), 0, when);
    // OpenSSL does not know our extended key usage; that it is there is checked below.
    X509_VERIFY_PARAM_set_purpose(X509_STORE_CTX_get0_param(context.get()), X509_PURPOSE_ANY);
    if (X509_verify_cert(context.get()) != 1)
        return Error{X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()))};
    if (!may_sign(parsed.get(), what))
        return Error{what == Signs::kStatements ? "is not for signing statements"
                                                : "is not for signing explanations"};
    unsigned char *der = nullptr;
    int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(parsed.get()), &der);
    Bytes spki(der, der + (length > 0 ? length : 0));
    OPENSSL_free(der);
    auto known = keys().get(spki);
    if (!known)
        return known.error();
    if (known->key.type() != KeyType::kEcdsaP256)
        return Error{"does not hold an ECDSA P-256 key"};
    Signer signer{*std::move(known), dns_names(parsed.get())};
    std::lock_guard lock(impl_->mutex);
    if (impl_->good.size() >= kKeptKeys)
        impl_->good.clear();
    impl_->good.insert_or_assign(std::move(name), Impl::Good{signer, validity_of(context.get())});
    return signer;
}

std::variant<Unverified, Breach> read_attestation(ByteView attestation) {
    auto envelope = dsse_open(attestation);
    if (!envelope)
        return Breach{pb::Refusal::CODE_MALFORMED, envelope.error().message};
    return read_statement(*std::move(envelope), attestation);
}

std::variant<Unverified, Breach> read_statement(Envelope envelope, ByteView attestation) {
    Unverified read;
    read.envelope = std::move(envelope);
    const Bytes &payload = read.envelope.payload;
    pb::Statement &statement = read.opened.statement;
    if (!statement.ParseFromArray(payload.data(), static_cast<int>(payload.size())))
        return Breach{pb::Refusal::CODE_MALFORMED, "payload is not a statement"};
    // Before the signature: the rules say what the host and times, which the certificate is judged
    // by, may look like. Nothing is believed until the signature is verified.
    read.opened.impossible = breaches_of(statement);
    for (const Breach &breach : read.opened.impossible) {
        if (breach.code != pb::Refusal::CODE_IMPOSSIBLE)
            return breach;
    }
    read.opened.digest = sha256(attestation);
    return read;
}

std::variant<KeyCache::Known, Breach> certified_key(const pb::Statement &statement,
                                                    const FleetRoot &root) {
    auto signer = root.check(view(statement.certificate()), statement.window().end_wall_ns());
    if (!signer)
        return bad_certificate("signing certificate: " + signer.error().message);
    if (!names_host(signer->hosts, statement.host()))
        return bad_certificate("signing certificate does not name host " +
                               printable(statement.host()));
    return std::move(signer->known);
}

std::optional<Breach> verify_signature(Unverified &unverified, const KeyCache::Known &signer) {
    if (!dsse_verify(unverified.envelope, signer.key))
        return Breach{pb::Refusal::CODE_BAD_SIGNATURE, "signature is not the host's signing key's"};
    if (unverified.envelope.key_id != signer.id)
        return Breach{pb::Refusal::CODE_BAD_SIGNATURE, "key id is not the signing key's"};
    unverified.opened.signing_key = signer.key.spki();
    return std::nullopt;
}

std::variant<Opened, Breach> open_attestation(ByteView attestation, ByteView known_key,
                                              const FleetRoot &root) {
    auto read = read_attestation(attestation);
    if (auto *breach = std::get_if<Breach>(&read))
        return *breach;
    auto &unverified = std::get<Unverified>(read);
    if (!unverified.opened.impossible.empty())
        return unverified.opened.impossible.front();
    auto signer = signer_of(unverified.opened.statement, known_key, root);
    if (auto *breach = std::get_if<Breach>(&signer))
        return *breach;
    if (auto breach = verify_signature(unverified, std::get<KeyCache::Known>(signer)))
        return *breach;
    return std::move(unverified.opened);
}

std::variant<Opened, Breach> admit(ChainHead &head, ByteView attestation, const FleetRoot &root) {
    auto result = open_attestation(attestation, head.signing_key, root);
    auto *opened = std::get_if<Opened>(&result);
    if (opened == nullptr)
        return result;
    if (auto breach = check_follows(head, opened->statement))
        return *breach;
    advance(head, opened->statement, opened->digest);
    head.signing_key = opened->signing_key;
    return result;
}

} // namespace tally
