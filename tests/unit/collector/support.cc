#include "tests/unit/collector/support.h"

#include "base/durable.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

namespace tally {

Scratch::Scratch() {
    std::string pattern = testing::TempDir() + "collector-XXXXXX";
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    path_ = pattern;
}

Scratch::~Scratch() {
    std::filesystem::remove_all(path_);
}

std::vector<std::string> files_below(const std::string &directory) {
    std::vector<std::string> files;
    for (const auto &entry : std::filesystem::recursive_directory_iterator(directory)) {
        if (!entry.is_directory())
            files.push_back(entry.path().lexically_relative(directory).string());
    }
    std::sort(files.begin(), files.end());
    return files;
}

void flip_byte(const std::string &path, size_t at) {
    auto bytes = read_file(path);
    ASSERT_TRUE(bytes) << path;
    ASSERT_LT(at, bytes->size()) << path;
    (*bytes)[at] ^= 0x01;
    ASSERT_TRUE(replace_file(path, *bytes));
}

std::vector<Bytes> log_entries(const TestKeys &keys, const std::string &directory) {
    std::vector<Bytes> all;
    auto log = TileLog::open(directory, keys.log_signers(), 0);
    EXPECT_TRUE(log) << log.error().message;
    for (uint64_t bundle = 0; log && bundle * kTileWidth < log->size(); ++bundle) {
        auto entries = log->entries(bundle);
        EXPECT_TRUE(entries) << entries.error().message;
        all.insert(all.end(), entries->begin(), entries->end());
    }
    return all;
}

std::string config_text(const TestKeys &keys, const std::string &state_directory) {
    auto line = [](const std::string &key, const std::string &value) {
        return key + " = \"" + value + "\"\n";
    };
    return line("listen", "127.0.0.1:0") + line("state_directory", state_directory) +
           line("fleet_root", keys.path("fleet-ca.pem")) + "[tls]\n" +
           line("ca", keys.path("fleet-ca.pem")) +
           line("certificate", keys.path("collector/tls.pem")) +
           line("key", keys.path("collector/tls.key")) + "[log]\n" +
           line("origin", TestKeys::kOrigin) + line("ed25519_key", keys.path("log/ed25519.key")) +
           line("ecdsa_key", keys.path("log/ecdsa.key"));
}

namespace {
FleetRoot fleet_root(const TestKeys &keys) {
    auto root = FleetRoot::from_pem(keys.read("fleet-ca.pem"));
    EXPECT_TRUE(root) << root.error().message;
    return *std::move(root);
}
} // namespace

TestCollector::TestCollector(const TestKeys &keys, const std::string &state_directory)
    : root_(fleet_root(keys)) {
    EXPECT_TRUE(make_directories(state_directory));
    std::string index_path = state_directory + "/index.db";
    auto index = Index::open(index_path);
    EXPECT_TRUE(index) << index.error().message;
    auto log = TileLog::open(state_directory + "/log", keys.log_signers(), index->size());
    EXPECT_TRUE(log) << log.error().message;
    auto hosts = catch_up(*index, *log);
    EXPECT_TRUE(hosts) << hosts.error().message;
    watch_ = std::make_unique<Watch>(state_directory + "/log", log->size(), index_path, lines_);
    sequencer_ = std::make_unique<Sequencer>(
        *std::move(log), *std::move(index), index_path, *std::move(hosts), lines_, [] {}, nullptr,
        watch_.get());
    intake_ = std::make_unique<Intake>(root_, *sequencer_, lines_);
    Keys tls{keys.read("fleet-ca.pem"),
             keys.read("collector/tls.pem"),
             keys.read("collector/tls.key"),
             fleet_root(keys),
             {}};
    auto listening = intake_->listen("127.0.0.1:0", tls);
    EXPECT_TRUE(listening) << listening.error().message;
}

void TestCollector::stop() {
    intake_->stop();
    sequencer_->stop();
    watch_.reset();
}

TestStream::Identity TestStream::identity(const TestKeys &keys, const std::string &host) {
    return {keys.read("hosts/" + host + "/tls.pem"), keys.read("hosts/" + host + "/tls.key"),
            keys.read("fleet-ca.pem")};
}

TestStream::TestStream(int port, const Identity &identity) {
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = identity.trust;
    tls.pem_cert_chain = identity.certificate;
    tls.pem_private_key = identity.key;
    grpc::ChannelArguments arguments;
    // A connection of its own, as hosts have.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    auto channel = grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port),
                                             grpc::SslCredentials(tls), arguments);
    stub_ = pb::Ledger::NewStub(channel);
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    stream_ = stub_->Attest(&context_);
}

TestStream::~TestStream() {
    context_.TryCancel();
}

std::optional<pb::Resume> TestStream::hello(uint64_t first_unreceipted, uint64_t known) {
    pb::AttestRequest request;
    request.mutable_hello()->set_first_unreceipted(first_unreceipted);
    request.mutable_hello()->set_checkpoint_size(known);
    if (!stream_->Write(request))
        return std::nullopt;
    auto reply = read();
    if (!reply || !reply->has_resume())
        return std::nullopt;
    return reply->resume();
}

bool TestStream::send(const Bytes &attestation) {
    pb::AttestRequest request;
    request.set_attestation(attestation.data(), attestation.size());
    return stream_->Write(request);
}

std::optional<pb::AttestReply> TestStream::read() {
    pb::AttestReply reply;
    if (!stream_->Read(&reply))
        return std::nullopt;
    return reply;
}

void TestStream::expect_receipt(const Bytes &attestation, uint64_t sequence,
                                const std::vector<NoteKey> &keys) {
    auto reply = read();
    ASSERT_TRUE(reply) << "the stream ended before the receipt for " << sequence;
    ASSERT_TRUE(reply->has_receipt()) << reply->refusal().reason();
    EXPECT_EQ(reply->receipt().sequence(), sequence);
    auto checked = check_receipt(reply->receipt(), leaf_hash(attestation), keys);
    EXPECT_TRUE(checked) << checked.error().message;
}

pb::Refusal TestStream::expect_refusal(pb::Refusal::Code code) {
    auto reply = read();
    EXPECT_TRUE(reply && reply->has_refusal());
    if (!reply || !reply->has_refusal())
        return {};
    EXPECT_EQ(reply->refusal().code(), code) << reply->refusal().reason();
    EXPECT_FALSE(reply->refusal().reason().empty());
    EXPECT_FALSE(read());
    auto status = finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return reply->refusal();
}

} // namespace tally
