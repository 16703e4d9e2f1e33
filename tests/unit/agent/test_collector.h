// A collector for the uplink's tests: real grpc++, real mutual TLS, real proofs and signatures over
// a log in memory, and told where to misbehave. It outlives its server, so that one can restart.
#pragma once

#include "attest/checkpoint.h"
#include "attest/merkle.h"
#include "tests/unit/agent/pki.h"

#include <atomic>
#include <functional>
#include <grpcpp/grpcpp.h>
#include <memory>
#include <mutex>
#include <optional>

#include "attest/ledger.grpc.pb.h"

namespace tally {

namespace pb = tallystick::v1;

inline constexpr const char *kCollectorName = "collector.test";
inline constexpr const char *kLogName = "log.test/fleet1";

// The attestations of these tests: their sequence and something to fill them.
Bytes test_attestation(uint64_t sequence, size_t size = 300);
std::vector<Bytes> test_attestations(uint64_t last); // from the first on

class TestCollector final : public pb::Ledger::Service {
public:
    struct Script {
        size_t batch = 1;  // receipts under one checkpoint; as many attestations must come
        bool mute = false; // takes attestations and gives no receipts
        std::function<void(pb::AttestReply &)> alter;
        std::function<std::optional<pb::Refusal>(uint64_t sequence)> refuse;
    };

    // Certificates are for kCollectorName unless `tls` says otherwise.
    explicit TestCollector(const PemIdentity &ca);
    TestCollector(const PemIdentity &ca, PemIdentity tls);
    ~TestCollector() override { stop(); }

    void start(); // on the port it had before, if any
    void stop();  // cancels streams at once
    // Lets streams end by themselves, for up to five seconds.
    void stop_gracefully();

    std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
    std::vector<NoteKey> log_keys() const;
    Script &script() { return script_; } // while no stream is open

    std::vector<Bytes> held();
    void set_held(std::vector<Bytes> attestations); // and the log anew
    // Another host's first entry is another one now, and everything is signed and proved over that.
    void rewrite_log();
    void append_foreign(size_t entries); // other hosts' attestations, after what is held
    int clean_ends() const { return clean_ends_; }

private:
    using Stream = grpc::ServerReaderWriter<pb::AttestReply, pb::AttestRequest>;

    grpc::Status Attest(grpc::ServerContext *context, Stream *stream) override;
    bool reply(Stream &stream, pb::AttestReply message);
    // `known`: the size up to which this stream's host was proved the log; 0: nothing.
    bool give_receipts(Stream &stream, uint64_t first, uint64_t last, uint64_t &known);
    std::optional<pb::Refusal> take(const std::string &attestation);

    PemIdentity ca_;
    PemIdentity tls_;
    std::vector<NoteSigner> signers_;
    Script script_;
    int port_ = 0;
    std::unique_ptr<grpc::Server> server_;
    std::mutex mutex_;           // of all below, and of signing
    std::vector<Bytes> held_;    // sequences 1, 2 ...
    std::vector<Digest> leaves_; // kForeign of other hosts, then held_, and more of others' between
    std::vector<uint64_t> index_; // of each of held_ among leaves_
    std::atomic<int> clean_ends_ = 0;
};

} // namespace tally
