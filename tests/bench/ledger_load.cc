#include "tests/bench/ledger_load.h"

#include "attest/ledger.grpc.pb.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <iostream>
#include <mutex>
#include <thread>

namespace tally {

using Clock = std::chrono::steady_clock;

double Timing::at(double share) const {
    if (milliseconds.empty())
        return 0;
    auto last = static_cast<double>(milliseconds.size() - 1);
    return milliseconds[static_cast<size_t>(share * last)];
}

// One stream. gRPC's threads call it back; `mutex_` guards everything.
class Load::Host : public grpc::ClientBidiReactor<pb::AttestRequest, pb::AttestReply> {
public:
    Host(int port, const TestKeys &keys, LoadHost load) : load_(std::move(load)) {
        std::string files = "hosts/" + load_.name + "/tls";
        grpc::SslCredentialsOptions tls{keys.read("fleet-ca.pem"), keys.read(files + ".key"),
                                        keys.read(files + ".pem")};
        grpc::ChannelArguments arguments;
        arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
        stub_ = pb::Ledger::NewStub(grpc::CreateCustomChannel(
            "localhost:" + std::to_string(port), grpc::SslCredentials(tls), arguments));
        stub_->async()->Attest(&context_, this);
        hello_.mutable_hello()->set_first_unreceipted(UINT64_MAX);
        hello_.mutable_hello()->set_takes_receipts(true);
        StartWrite(&hello_);
        StartRead(&reply_);
        StartCall();
    }
    void end() {
        context_.TryCancel();
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return done_; });
    }
    bool wait_resumed() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return resumed_ || done_; });
        return resumed_;
    }
    // The first of the next `each` is due at `begin`, each other `apart` after the one before.
    void send(size_t each, Clock::time_point begin, Clock::duration apart) {
        std::lock_guard lock(mutex_);
        first_ = next_;
        until_ = next_ + each;
        begin_ = begin;
        apart_ = apart;
        waits_.clear();
        advance();
    }
    void tick() {
        std::lock_guard lock(mutex_);
        advance();
    }
    std::vector<double> wait_receipted(size_t &failed) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return done_ || receipted_ == until_; });
        failed += receipted_ == until_ ? 0 : 1;
        return waits_;
    }

private:
    void OnWriteDone(bool good) override {
        std::lock_guard lock(mutex_);
        writing_ = false;
        if (good)
            advance();
    }
    void OnReadDone(bool good) override {
        std::lock_guard lock(mutex_);
        if (!good)
            return;
        auto now = Clock::now();
        for (int i = 0; i < reply_.receipts().receipts_size(); ++i) {
            waits_.push_back(
                std::chrono::duration<double, std::milli>(now - sent_.front()).count());
            sent_.pop_front();
            ++receipted_;
        }
        if (reply_.has_receipts()) {
            // counted
        } else if (reply_.has_resume()) {
            resumed_ = true;
        } else {
            std::cerr << load_.name << ": " << reply_.ShortDebugString() << "\n";
        }
        StartRead(&reply_);
        advance();
        changed_.notify_all();
    }
    void OnDone(const grpc::Status & /*status*/) override {
        std::lock_guard lock(mutex_);
        done_ = true;
        changed_.notify_all();
    }
    void advance() {
        if (!resumed_ || done_ || writing_ || next_ >= until_ || sent_.size() >= kWindow)
            return;
        auto due = begin_ + apart_ * static_cast<long>(next_ - first_);
        auto now = Clock::now();
        if (now < due)
            return;
        const Bytes &attestation = load_.attestations[next_++];
        request_.set_attestation(attestation.data(), attestation.size());
        // A paced one counts from when it was due: a stall must not hide the wait it causes.
        sent_.push_back(apart_ == Clock::duration::zero() ? now : due);
        writing_ = true;
        StartWrite(&request_);
    }

    LoadHost load_;
    std::unique_ptr<pb::Ledger::Stub> stub_;
    grpc::ClientContext context_;
    pb::AttestRequest hello_, request_;
    pb::AttestReply reply_;

    std::mutex mutex_;
    std::condition_variable changed_;
    bool resumed_ = false, writing_ = true, done_ = false;
    size_t first_ = 0, next_ = 0, until_ = 0, receipted_ = 0;
    Clock::time_point begin_;
    Clock::duration apart_{};
    std::deque<Clock::time_point> sent_;
    std::vector<double> waits_;
};

Load::Load(int port, const TestKeys &keys, std::vector<LoadHost> hosts) {
    for (LoadHost &host : hosts)
        hosts_.push_back(std::make_unique<Host>(port, keys, std::move(host)));
    for (auto &host : hosts_) {
        if (!host->wait_resumed()) {
            std::cerr << "a stream was not resumed\n";
            std::exit(1);
        }
    }
}

Load::~Load() {
    for (auto &host : hosts_)
        host->end();
}

Timing Load::send(size_t each, double per_second) {
    auto begin = Clock::now();
    Clock::duration apart{}, between{};
    if (per_second > 0) {
        std::chrono::duration<double> one(1 / per_second);
        between = std::chrono::duration_cast<Clock::duration>(one);
        apart = std::chrono::duration_cast<Clock::duration>(one * hosts_.size());
    }
    for (size_t i = 0; i < hosts_.size(); ++i)
        hosts_[i]->send(each, begin + between * static_cast<long>(i), apart);
    std::atomic<bool> done = false;
    std::thread ticker([&] {
        while (!done && per_second > 0) {
            for (auto &host : hosts_)
                host->tick();
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    });
    Timing timing;
    for (auto &host : hosts_) {
        auto waits = host->wait_receipted(timing.failed);
        timing.milliseconds.insert(timing.milliseconds.end(), waits.begin(), waits.end());
    }
    timing.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    done = true;
    ticker.join();
    std::sort(timing.milliseconds.begin(), timing.milliseconds.end());
    return timing;
}

} // namespace tally
