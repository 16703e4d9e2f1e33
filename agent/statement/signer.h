// The host's signing key and the end of its chain: numbers, links and signs statements.
#pragma once

#include "attest/crypto.h"
#include "attest/rules.h"
#include "base/result.h"

#include <set>
#include <string>

namespace tally {

class Signer {
public:
    // Key and certificate are PEM files; an error names the file and what is wrong: unreadable,
    // not a pair, expired, or for another host.
    static Result<Signer> load(const std::string &key_file, const std::string &certificate_file,
                               const std::string &host, const std::string &boot_id);

    // Takes the chain up after its last attestation, which must be this host's. `devices`: the
    // inventory as of then, which an earlier one brought.
    Status resume(ByteView last_attestation, const std::set<uint32_t> &devices);

    const ChainHead &head() const { return head_; }
    const Bytes &certificate() const { return certificate_; } // DER
    const std::string &boot_id() const { return boot_id_; }

    // Fills in host, boot, sequence and previous, holds the statement to the rules of evidence,
    // and signs. The chain moves on only by accept().
    Result<Bytes> seal(pb::Statement &statement) const;
    void accept(const pb::Statement &statement, ByteView attestation);

private:
    Signer(SigningKey key, Bytes certificate, std::string boot_id)
        : key_(std::move(key)), certificate_(std::move(certificate)), boot_id_(std::move(boot_id)) {
    }
    SigningKey key_;
    Bytes certificate_;
    std::string boot_id_;
    ChainHead head_;
};

} // namespace tally
