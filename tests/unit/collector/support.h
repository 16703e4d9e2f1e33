// A collector in the test's own process, and hosts that speak to it as grpc++ clients over real
// TLS.
#pragma once

#include "attest/receipt.h"
#include "collector/intake.h"
#include "tests/unit/support/host.h"
#include "tests/unit/support/keys.h"

#include <functional>
#include <grpcpp/client_context.h>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tally {

// A directory that is gone with its contents when the test ends.
class Scratch {
public:
    Scratch();
    ~Scratch();
    Scratch(const Scratch &) = delete;
    Scratch &operator=(const Scratch &) = delete;
    const std::string &path() const { return path_; }
    std::string operator/(const std::string &name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

// All regular files below a directory, relative to it, sorted.
std::vector<std::string> files_below(const std::string &directory);
void flip_byte(const std::string &path, size_t at);

inline constexpr const char *kHost = "gpu1.example"; // TestKeys' own

// Every entry of the log in `directory`, which no collector has open.
std::vector<Bytes> log_entries(const TestKeys &keys, const std::string &directory);

// The configuration for `keys`, on any free port.
std::string config_text(const TestKeys &keys, const std::string &state_directory);

class TestCollector {
public:
    // Opens what is in `state_directory`, which is made if it is not there.
    TestCollector(const TestKeys &keys, const std::string &state_directory);

    int port() const { return intake_->port(); }
    Sequencer &sequencer() { return *sequencer_; }
    void stop(); // with all findings brought up to date

private:
    Log lines_{"test"};
    FleetRoot root_;
    std::unique_ptr<Watch> watch_;
    std::unique_ptr<Sequencer> sequencer_;
    std::unique_ptr<Intake> intake_;
};

// The host's end of one stream. Every wait is bounded by a deadline of 20 s.
class TestStream {
public:
    struct Identity { // PEM; empty: no client certificate
        std::string certificate;
        std::string key;
        std::string trust;
    };
    static Identity identity(const TestKeys &keys, const std::string &host = kHost);

    TestStream(int port, const Identity &identity);
    TestStream(int port, const TestKeys &keys, const std::string &host = kHost)
        : TestStream(port, identity(keys, host)) {}
    ~TestStream();

    // Sends Hello; what the collector answered.
    std::optional<pb::Resume> hello(uint64_t first_unreceipted = 1, uint64_t known = 0);
    bool send(const Bytes &attestation);
    bool send(const pb::AttestRequest &request) { return stream_->Write(request); }
    std::optional<pb::AttestReply> read(); // nothing: the collector ended the stream
    void half_close() { stream_->WritesDone(); }
    void cancel() { context_.TryCancel(); }
    // Expects a receipt for `attestation` that verifies.
    void expect_receipt(const Bytes &attestation, uint64_t sequence,
                        const std::vector<NoteKey> &keys);
    // Expects a refusal with this code, and the stream's end with status OK.
    pb::Refusal expect_refusal(pb::Refusal::Code code);
    grpc::Status finish() { return stream_->Finish(); }

private:
    grpc::ClientContext context_;
    std::unique_ptr<pb::Ledger::Stub> stub_;
    std::unique_ptr<grpc::ClientReaderWriter<pb::AttestRequest, pb::AttestReply>> stream_;
};

} // namespace tally
