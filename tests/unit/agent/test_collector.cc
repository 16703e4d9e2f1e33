#include "tests/unit/agent/test_collector.h"

#include <gtest/gtest.h>

namespace tally {

namespace {

constexpr size_t kForeign = 3;

SigningKey load_key(const std::string &pem) {
    auto key = SigningKey::from_pem(pem);
    if (!key)
        std::abort();
    return std::move(*key);
}

} // namespace

Bytes test_attestation(uint64_t sequence, size_t size) {
    Bytes bytes;
    put_be64(bytes, sequence);
    bytes.resize(size, static_cast<uint8_t>(sequence));
    return bytes;
}

std::vector<Bytes> test_attestations(uint64_t last) {
    std::vector<Bytes> all;
    for (uint64_t sequence = 1; sequence <= last; sequence++)
        all.push_back(test_attestation(sequence));
    return all;
}

TestCollector::TestCollector(const PemIdentity &ca)
    : TestCollector(ca, make_leaf(ca, kCollectorName)) {
}

TestCollector::TestCollector(const PemIdentity &ca, PemIdentity tls)
    : ca_(ca), tls_(std::move(tls)) {
    signers_.push_back({kLogName, load_key(make_key())});
    set_held({});
}

void TestCollector::start() {
    grpc::SslServerCredentialsOptions tls(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    tls.pem_root_certs = ca_.certificate;
    tls.pem_key_cert_pairs.push_back({tls_.key, tls_.certificate});
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address(), grpc::SslServerCredentials(tls), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr) << address();
}

void TestCollector::stop() {
    if (server_ == nullptr)
        return;
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
    server_.reset();
}

void TestCollector::stop_gracefully() {
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
    server_->Wait();
    server_.reset();
}

std::vector<NoteKey> TestCollector::log_keys() const {
    return {note_key(kLogName, signers_[0].key.verifying_key())};
}

std::vector<Bytes> TestCollector::held() {
    std::lock_guard lock(mutex_);
    return held_;
}

void TestCollector::set_held(std::vector<Bytes> attestations) {
    std::lock_guard lock(mutex_);
    held_ = std::move(attestations);
    leaves_.clear();
    for (size_t i = 0; i < kForeign; i++)
        leaves_.push_back(leaf_hash(test_attestation(i, 9)));
    index_.clear();
    for (const Bytes &attestation : held_) {
        index_.push_back(leaves_.size());
        leaves_.push_back(leaf_hash(attestation));
    }
}

void TestCollector::rewrite_log() {
    std::lock_guard lock(mutex_);
    leaves_[0][0] ^= 1;
}

void TestCollector::append_foreign(size_t entries) {
    std::lock_guard lock(mutex_);
    for (size_t i = 0; i < entries; i++)
        leaves_.push_back(leaf_hash(test_attestation(1'000'000 + leaves_.size(), 9)));
}

grpc::Status TestCollector::Attest(grpc::ServerContext *, Stream *stream) {
    pb::AttestRequest request;
    if (!stream->Read(&request) || !request.has_hello())
        return {grpc::StatusCode::INVALID_ARGUMENT, "Hello first"};
    std::vector<Bytes> before = held();
    pb::AttestReply resume;
    resume.mutable_resume()->set_last_sequence(before.size());
    if (!before.empty())
        resume.mutable_resume()->set_head(std::string(text(sha256(before.back()))));
    if (!reply(*stream, resume))
        return grpc::Status::CANCELLED;
    uint64_t known = request.hello().checkpoint_size();
    if (!give_receipts(*stream, request.hello().first_unreceipted(), before.size(), known))
        return grpc::Status::CANCELLED;

    uint64_t receipted = before.size();
    while (stream->Read(&request)) {
        if (auto refusal = take(request.attestation())) {
            pb::AttestReply refused;
            *refused.mutable_refusal() = *refusal;
            reply(*stream, refused);
            return {grpc::StatusCode::FAILED_PRECONDITION, "refused"};
        }
        uint64_t taken = held().size();
        if (script_.mute || taken - receipted < script_.batch)
            continue;
        if (!give_receipts(*stream, receipted + 1, taken, known))
            return grpc::Status::CANCELLED;
        receipted = taken;
    }
    clean_ends_++;
    return grpc::Status::OK;
}

std::optional<pb::Refusal> TestCollector::take(const std::string &attestation) {
    std::lock_guard lock(mutex_);
    Bytes bytes = to_bytes(view(attestation));
    pb::Refusal refusal;
    if (bytes.size() < 8) {
        refusal.set_code(pb::Refusal::CODE_MALFORMED);
        return refusal;
    }
    uint64_t sequence = get_be64(bytes.data());
    refusal.set_sequence(sequence);
    if (script_.refuse)
        if (auto scripted = script_.refuse(sequence))
            return scripted;
    if (sequence != held_.size() + 1) {
        refusal.set_code(sequence <= held_.size() ? pb::Refusal::CODE_REPLAYED
                                                  : pb::Refusal::CODE_SKIPPED);
        refusal.set_reason("the log ends at " + std::to_string(held_.size()));
        return refusal;
    }
    index_.push_back(leaves_.size());
    leaves_.push_back(leaf_hash(bytes));
    held_.push_back(std::move(bytes));
    return std::nullopt;
}

bool TestCollector::reply(Stream &stream, pb::AttestReply message) {
    if (script_.alter)
        script_.alter(message);
    return stream.Write(message);
}

bool TestCollector::give_receipts(Stream &stream, uint64_t first, uint64_t last, uint64_t &known) {
    if (first > last || script_.mute)
        return true;
    std::unique_lock lock(mutex_);
    std::vector<Digest> leaves = leaves_;
    std::vector<uint64_t> index = index_;
    auto note = sign_checkpoint({kLogName, leaves.size(), subtree_root(leaves)}, signers_);
    lock.unlock();
    if (!note)
        return false;
    auto read = [&](unsigned level, uint64_t position) -> Result<Digest> {
        size_t width = size_t(1) << level;
        return subtree_root(std::span(leaves).subspan(position * width, width));
    };
    for (uint64_t sequence = first; sequence <= last; sequence++) {
        pb::AttestReply message;
        pb::Receipt &receipt = *message.mutable_receipt();
        receipt.set_sequence(sequence);
        receipt.set_index(index[sequence - 1]);
        auto proof = inclusion_proof(receipt.index(), leaves.size(), read);
        if (!proof)
            return false;
        for (const Digest &hash : *proof)
            receipt.add_proof(std::string(text(hash)));
        receipt.set_checkpoint(*note);
        if (known > 0 && known < leaves.size()) {
            auto grown = consistency_proof(known, leaves.size(), read);
            if (!grown)
                return false;
            for (const Digest &hash : *grown)
                receipt.add_consistency(std::string(text(hash)));
        }
        known = leaves.size();
        if (!reply(stream, message))
            return false;
    }
    return true;
}

} // namespace tally
