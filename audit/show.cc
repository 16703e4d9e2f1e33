#include "audit/show.h"

#include "attest/dsse.h"
#include "audit/certificate.h"
#include "audit/units.h"
#include "base/durable.h"

#include <optional>

namespace tally {

namespace {

struct Found {
    uint64_t index = 0;
    Opened opened;
    Devices devices;
};

std::string hash_text(const std::string &what, ByteView hash) {
    return what + " " + to_hex(hash) + "\n";
}

Result<std::string> show_from_log(const Source &source, const Trust &trust,
                                  const std::function<bool(const Entry &)> &wanted,
                                  const std::string &name) {
    std::optional<Found> found;
    auto walked = walk(source, trust, [&](const Entry &entry) {
        if (wanted(entry))
            found = Found{entry.index, entry.opened, entry.devices};
    });
    if (!walked)
        return walked.error();
    const Checkpoint &checkpoint = walked->checkpoint;
    if (!found)
        return Error{source.directory() + ": no " + name + " among its " +
                     count_text(checkpoint.size, "attestation")};
    return "verified: log " + printable(checkpoint.origin) + " of " +
           count_text(checkpoint.size, "attestation") + "; this is log index " +
           std::to_string(found->index) + "\n" +
           "verified: signature, certificate, and its place in the host's chain\n" +
           hash_text("attestation SHA-256", found->opened.digest) +
           hash_text("signing key SHA-256", sha256(found->opened.signing_key)) + "\n" +
           statement_text(found->opened.statement, found->devices);
}

// The key in a certificate file, which must be good for `host` at the time of the statement.
Result<Bytes> key_from(const std::string &certificate_file, const FleetRoot &root,
                       const pb::Statement &statement) {
    auto pem = read_text(certificate_file);
    if (!pem)
        return pem.error();
    auto der = certificate_der(*pem);
    if (!der)
        return Error{certificate_file + ": " + der.error().message};
    auto signer = root.check(*der, statement.window().end_wall_ns());
    if (!signer)
        return Error{certificate_file + ": " + signer.error().message};
    for (const std::string &host : signer->hosts) {
        if (host == statement.host())
            return signer->key.spki();
    }
    return Error{certificate_file + ": is not host " + printable(statement.host(), 253) + "'s"};
}

} // namespace

Result<std::string> show_index(const Source &source, const Trust &trust, uint64_t index) {
    return show_from_log(
        source, trust, [&](const Entry &entry) { return entry.index == index; },
        "log index " + std::to_string(index));
}

Result<std::string> show_sequence(const Source &source, const Trust &trust, const std::string &host,
                                  uint64_t sequence) {
    return show_from_log(
        source, trust,
        [&](const Entry &entry) {
            return entry.opened.statement.sequence() == sequence &&
                   entry.opened.statement.host() == host;
        },
        "sequence " + std::to_string(sequence) + " of host " + printable(host, 253));
}

Result<std::string> show_file(const std::string &file, const FleetRoot &root,
                              const std::string &certificate_file) {
    auto bytes = read_file(file, kMaxAttestation);
    if (!bytes)
        return bytes.error();
    auto envelope = dsse_open(*bytes);
    if (!envelope)
        return Error{file + ": " + envelope.error().message};
    pb::Statement claimed;
    if (!claimed.ParseFromString(std::string(text(envelope->payload))))
        return Error{file + ": payload is not a statement"};
    Bytes known_key;
    if (!certificate_file.empty()) {
        auto key = key_from(certificate_file, root, claimed);
        if (!key)
            return key.error();
        known_key = *std::move(key);
    } else if (claimed.certificate().empty()) {
        return Error{file + ": brings no certificate; name the host's signing certificate with "
                            "--certificate, or show it from its log"};
    }
    auto opened = open_attestation(*bytes, known_key, root);
    if (auto *breach = std::get_if<Breach>(&opened))
        return Error{file + ": " + breach->reason};
    const Opened &good = std::get<Opened>(opened);
    Devices devices;
    for (const pb::Device &device : good.statement.inventory().devices())
        devices[device.index()] = device;
    return "verified: signature and certificate\n"
           "not verified: that it is in a log, and its place in the host's chain\n" +
           hash_text("attestation SHA-256", good.digest) +
           hash_text("signing key SHA-256", sha256(good.signing_key)) + "\n" +
           statement_text(good.statement, devices);
}

} // namespace tally
