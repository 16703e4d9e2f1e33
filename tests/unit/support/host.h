// A host as the log sees it, without an agent: says what a test wants, signed and chained as it
// must be. Uses the crypto seam alone, so it serves tests of either side.
#pragma once

#include "attest/crypto.h"
#include "attest/statement.pb.h"

#include <string>

namespace tally {

namespace pb = tallystick::v1;

class TestHost {
public:
    static constexpr uint64_t kSecond = 1'000'000'000;
    static constexpr const char *kDevice = "node:/dev/test0"; // index 7

    TestHost(std::string name, SigningKey key, Bytes certificate_der);

    // A valid next statement: a window of 10 s in which one workload of tenant "acme" opened the
    // device once and held it for 4 s. The first of a boot brings inventory, agent and certificate.
    // The first window begins now, by the wall clock.
    pb::Statement next() const;

    // Signs `statement` and moves on: the next one names these bytes as previous and begins where
    // this one's window ends. Aborts if it does not fit into an attestation.
    Bytes attest(const pb::Statement &statement);
    Bytes attest() { return attest(next()); }

    // The next statement is the first of another boot, `pause_ns` later by the wall clock.
    void reboot(uint64_t pause_ns);

    const std::string &name() const { return name_; }
    uint64_t sequence() const { return sequence_; } // of the last attestation; 0: none
    const Digest &head() const { return head_; }    // its SHA-256

private:
    std::string name_;
    SigningKey key_;
    Bytes certificate_;
    std::string boot_id_ = std::string(16, '\x01');
    uint64_t sequence_ = 0;
    Digest head_{};
    uint64_t boottime_ns_ = 100 * kSecond;
    uint64_t wall_ns_;
    bool introduce_ = true;
};

} // namespace tally
