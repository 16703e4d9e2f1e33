// A host as the rules of evidence see it: says statements, signs them, links them. For tests of
// everything that takes attestations.
#pragma once

#include "attest/rules.h"

#include <string>

namespace tally {

class TestHost {
public:
    static constexpr uint64_t kSecond = 1'000'000'000;
    static constexpr uint64_t kWindow = 10 * kSecond;
    static constexpr uint64_t kHeld = 4 * kSecond;
    static constexpr const char *kDevice = "node:/dev/test0"; // index 0
    static constexpr const char *kTenant = "acme";
    static constexpr const char *kCgroup = "/tenants/acme";

    // The chain begins now, on a random boot.
    TestHost(std::string name, SigningKey key, Bytes certificate);

    // A valid next statement: one window further, in which acme opened the device once, held it for
    // kHeld and closed it, all of it recorded on rung traced. The first of a chain and of a boot
    // brings inventory, agent and certificate.
    pb::Statement next() const;

    // Seals what may be a changed next() and goes on from there: sequence, previous and window. The
    // occupancy, unless there is one, is what the rows of usage make it.
    Bytes attest(const pb::Statement &statement);
    Bytes attest() { return attest(next()); }

    // A new boot, so long after the last window by the wall clock.
    void reboot(uint64_t off_ns = 0);

    const std::string &name() const { return name_; }
    uint64_t sequence() const { return sequence_; }  // the last one attested
    const Digest &digest() const { return digest_; } // of its bytes
    const SigningKey &key() const { return key_; }

private:
    std::string name_;
    SigningKey key_;
    Bytes certificate_;
    std::string boot_id_;
    uint64_t sequence_ = 0;
    Digest digest_{};
    uint64_t boottime_ns_ = 0; // where the next window begins
    uint64_t wall_ns_ = 0;
    uint64_t since_ns_ = 0;
    bool introduce_ = true;
};

// The statement inside an attestation, unverified.
pb::Statement statement_in(ByteView attestation);

} // namespace tally
