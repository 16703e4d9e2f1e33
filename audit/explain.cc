#include "audit/explain.h"

#include "attest/dsse.h"
#include "attest/merkle.h"
#include "attest/receipt.h"
#include "audit/call.h"
#include "base/durable.h"

#include <algorithm>
#include <chrono>
#include <openssl/pem.h>
#include <openssl/x509.h>

namespace tally {

namespace {

constexpr const char *kMethod = "/tallystick.v1.Ledger/Explain";

Result<std::string> certificate_der(const std::string &path) {
    auto pem = read_text(path);
    if (!pem)
        return pem.error();
    std::unique_ptr<BIO, decltype(&BIO_free)> input(
        BIO_new_mem_buf(pem->data(), static_cast<int>(pem->size())), BIO_free);
    std::unique_ptr<X509, decltype(&X509_free)> certificate(
        PEM_read_bio_X509(input.get(), nullptr, nullptr, nullptr), X509_free);
    unsigned char *der = nullptr;
    int length = certificate ? i2d_X509(certificate.get(), &der) : -1;
    if (length <= 0)
        return Error{path + ": holds no PEM certificate"};
    std::string bytes(reinterpret_cast<const char *>(der), static_cast<size_t>(length));
    OPENSSL_free(der);
    return bytes;
}

Result<SigningKey> signing_key(const std::string &path) {
    auto pem = read_text(path);
    if (!pem)
        return pem.error();
    auto key = SigningKey::from_pem(*pem);
    return key ? std::move(key) : Error{path + ": " + key.error().message};
}

uint64_t wall_now() {
    auto now = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<uint64_t>(std::chrono::nanoseconds(now).count());
}

} // namespace

Status ExplainOptions::check(const std::string &log) const {
    bool makes = submit.empty();
    if (makes &&
        (log.empty() || findings.empty() || why.empty() || certificate.empty() || key.empty()))
        return Error{"explain needs LOG, FINDING, --why, --certificate and --key, or --submit "
                     "(try --help)"};
    if (!makes && (!log.empty() || !findings.empty() || !why.empty() || !reference.empty() ||
                   withdraw || !certificate.empty() || !key.empty()))
        return Error{"--submit sends what is in the file: leave LOG and what makes an explanation "
                     "away"};
    bool sends = output.empty();
    if (sends && (collector.empty() || tls_certificate.empty() || tls_key.empty()))
        return Error{"to send it, explain needs --collector, --tls-certificate and --tls-key; or "
                     "use --output"};
    return ok();
}

Result<Bytes> make_explanation(const ExplainOptions &options, const Account &account,
                               const FleetRoot &root) {
    pb::Explanation explanation;
    for (const std::string &id : options.findings) {
        auto found = std::find_if(account.findings.begin(), account.findings.end(),
                                  [&](const Finding &finding) { return id_of(finding) == id; });
        if (found == account.findings.end())
            return Error{"the log verifies, but has no finding " + printable(id) +
                         ": `tally findings` names those it has"};
        *explanation.add_findings() = name_of(*found);
    }
    explanation.set_why(options.why);
    explanation.set_reference(options.reference);
    explanation.set_withdrawn(options.withdraw);
    explanation.set_wall_ns(wall_now());
    auto certificate = certificate_der(options.certificate);
    if (!certificate)
        return certificate.error();
    explanation.set_certificate(*certificate);
    auto key = signing_key(options.key);
    if (!key)
        return key.error();
    if (auto breach = check_explanation(explanation))
        return Error{"the explanation " + breach->reason};
    auto entry = dsse_seal(view(explanation.SerializeAsString()), *key, kExplanationType);
    if (!entry)
        return entry.error();
    // As the collector and every auditor will judge it.
    auto opened = open_explanation(*entry, root);
    if (auto *breach = std::get_if<Breach>(&opened))
        return Error{options.certificate + ", " + options.key + ": " + breach->reason};
    return entry;
}

Result<Bytes> read_explanation_file(const ExplainOptions &options) {
    auto entry = read_file(options.submit, kMaxAttestation);
    if (!entry)
        return entry.error();
    auto read = read_explanation(*entry);
    if (auto *breach = std::get_if<Breach>(&read))
        return Error{options.submit + ": " + breach->reason};
    return entry;
}

Result<uint64_t> submit_explanation(const ExplainOptions &options, const std::string &fleet_root,
                                    const std::vector<NoteKey> &log_keys, const Bytes &entry) {
    pb::ExplainRequest request;
    request.set_explanation(entry.data(), entry.size());
    CallOptions call{options.collector, options.tls_certificate, options.tls_key,
                     options.tls_root.empty() ? fleet_root : options.tls_root};
    auto answer = call_collector(call, kMethod, request.SerializeAsString());
    if (!answer)
        return answer.error();
    pb::ExplainReply reply;
    if (!reply.ParseFromString(*answer))
        return Error{options.collector + ": its answer cannot be read"};
    if (reply.has_refusal())
        return Error{options.collector +
                     ": refused: " + pb::Refusal::Code_Name(reply.refusal().code()) + ": " +
                     printable(reply.refusal().reason())};
    auto checked = check_receipt(reply.receipt(), leaf_hash(entry), log_keys);
    if (!checked)
        return Error{options.collector + ": its receipt does not hold: " + checked.error().message};
    return reply.receipt().index();
}

} // namespace tally
