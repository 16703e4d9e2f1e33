// A throw-away fleet's keys for tests, made by the `tally` program that lies beside the tests. Uses
// the crypto seam alone, so that it links with either side.
#pragma once

#include "attest/checkpoint.h"
#include "tests/unit/support/host.h"

#include <string>
#include <vector>

namespace tally {

// `tally keys` in a directory of its own (audit/keys.h names the files), removed at the end.
class TestKeys {
public:
    explicit TestKeys(const std::vector<std::string> &hosts = {"gpu1.example"},
                      const std::vector<std::string> &options = {});
    ~TestKeys();
    TestKeys(const TestKeys &) = delete;
    TestKeys &operator=(const TestKeys &) = delete;

    static constexpr const char *kOrigin = "example.com/fleet"; // what the log's keys sign for

    const std::string &directory() const { return directory_; }
    std::string path(const std::string &name) const { return directory_ + "/" + name; }
    std::string read(const std::string &name) const;

    TestHost host(const std::string &name) const;     // at the beginning of its chain
    Bytes certificate(const std::string &host) const; // its signing certificate, DER
    SigningKey signing_key(const std::string &host) const;

    std::vector<NoteKey> log_keys() const;       // those that the linked crypto can check
    std::vector<NoteSigner> log_signers() const; // Ed25519 and ECDSA; OpenSSL side only

private:
    std::string directory_;
};

// The DER of a file's first PEM block.
Bytes der_of(const std::string &pem);

} // namespace tally
