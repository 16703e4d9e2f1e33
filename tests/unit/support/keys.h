// A throw-away fleet for one test: the keys that `tally keys` makes, in a directory that goes when
// the object goes. Runs the program, so it serves tests of either crypto side.
#pragma once

#include "attest/checkpoint.h"

#include <string>
#include <vector>

namespace tally {

class TestKeys {
public:
    static constexpr const char *kHost = "host1.example";
    static constexpr const char *kOrigin = "example.com/fleet";

    // The collector is "localhost". `options` go to `tally keys`, such as "--expired".
    explicit TestKeys(const std::vector<std::string> &hosts = {kHost},
                      const std::vector<std::string> &options = {});
    ~TestKeys();
    TestKeys(const TestKeys &) = delete;
    TestKeys &operator=(const TestKeys &) = delete;

    // Paths and contents below the directory, as audit/keys.h names them: "fleet-ca.pem".
    std::string path(const std::string &name) const { return directory_ + "/" + name; }
    std::string read(const std::string &name) const;

    SigningKey signing_key(const std::string &host = kHost) const;
    Bytes certificate(const std::string &host = kHost) const; // the signing key's, DER
    std::vector<NoteKey> log_keys() const;       // those that the linked crypto can check
    std::vector<NoteSigner> log_signers() const; // OpenSSL side only

private:
    std::string directory_;
};

// The program NAME that was built beside this test's directory.
std::string program_path(const std::string &name);

// The DER bytes inside the first PEM block.
Bytes pem_to_der(const std::string &pem);

} // namespace tally
