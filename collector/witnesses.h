// The client side of C2SP tlog-witness: shows each checkpoint to the configured witnesses, with the
// proof that the log has only grown since what each of them cosigned last, and brings their
// cosignatures back. All are asked at once; one that fails is left alone for a while, longer each
// time, so that a dead witness costs few batches their wait.
#pragma once

#include "attest/cosignature.h"
#include "base/log.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tally {

struct WitnessAddress {
    std::string url; // the witness's prefix: "/add-checkpoint" is appended
    WitnessKey key;
};

class Witnesses {
public:
    static constexpr long kConnectMs = 1000;
    static constexpr long kTimeoutMs = 3000;
    static constexpr uint64_t kLeastPause = 2'000'000'000; // ns, after a first failure
    static constexpr uint64_t kMostPause = 60'000'000'000;

    // `needed`: how many cosignatures a receipt's checkpoint must carry.
    Witnesses(std::vector<WitnessAddress> addresses, size_t needed, const Log &lines);
    ~Witnesses();
    Witnesses(const Witnesses &) = delete;
    Witnesses &operator=(const Witnesses &) = delete;

    bool none() const { return witnesses_.empty(); }
    // Whether the note carries as many good cosignatures as are needed, or already all there are.
    bool enough(const std::string &note) const;
    bool complete(const std::string &note) const;
    size_t needed() const { return needed_; }

    // A consistency proof from `older` to the note's size.
    using Prove = std::function<Result<std::vector<Digest>>(uint64_t older)>;
    // The cosignature lines that the note lacks and that could be had, each verified. Waits for the
    // slowest witness, at most twice kTimeoutMs.
    std::string cosignatures(const std::string &note, uint64_t size, const Prove &prove);

private:
    struct One;
    bool has(const One &one, const std::string &note) const;
    void ask(std::vector<One *> &asked, const std::string &note, const Prove &prove);
    void complain(One &one, const std::string &reason);

    std::vector<std::unique_ptr<One>> witnesses_;
    size_t needed_;
    const Log &lines_;
};

} // namespace tally
